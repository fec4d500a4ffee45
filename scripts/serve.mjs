// A static file server: what any web server does with dist/, no more. As a command: serve.mjs [--port N] FOLDER
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { pathToFileURL } from "node:url";

const types = {
  ".bin": "application/octet-stream",
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** The file that answers `path` (decoded, starting with "/") among `mounts` (prefix ending in "/" -> folder), or undefined. */
async function find(mounts, path) {
  for (const [prefix, folder] of Object.entries(mounts)) {
    if (!path.startsWith(prefix)) continue;
    const root = normalize(folder + sep);
    const file = join(root, path.slice(prefix.length) || "index.html");
    if (!file.startsWith(root) || path.includes("\0")) continue;
    const info = await stat(file).catch(() => undefined);
    if (info?.isFile()) return { file, info };
  }
}

/** Serves `mounts` on loopback; resolves to { url, requests, close } once it listens. Port 0: any free one. */
export function serve(mounts, port = 0) {
  const requests = [];
  const server = createServer(async (request, response) => {
    let path;
    try {
      path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    } catch {
      response.writeHead(400).end();
      return;
    }
    requests.push(path);
    const found = await find(mounts, path);
    if (!found || !["GET", "HEAD"].includes(request.method)) {
      response.writeHead(found ? 405 : 404, { "Content-Type": "text/plain" }).end(found ? "Method not allowed" : "Not found");
      return;
    }
    const { file, info } = found;
    const headers = {
      "Content-Type": types[extname(file)] ?? "application/octet-stream",
      "Cache-Control": /-[0-9a-f]{16}\.[a-z]+$/.test(file) ? "public, max-age=31536000, immutable" : "no-cache",
      ETag: `"${info.size.toString(16)}-${Math.round(info.mtimeMs).toString(16)}"`,
    };
    if (request.headers["if-none-match"] === headers.ETag) {
      response.writeHead(304, headers).end();
      return;
    }
    response.writeHead(200, { ...headers, "Content-Length": info.size });
    if (request.method === "HEAD") response.end();
    else createReadStream(file).on("error", () => response.destroy()).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () =>
      resolve({
        url: `http://localhost:${server.address().port}`,
        requests,
        close: () => new Promise((done) => (server.close(() => done()), server.closeAllConnections())),
      }),
    );
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const args = process.argv.slice(2);
  const port = args[0] === "--port" ? Number(args.splice(0, 2)[1]) : 8080;
  try {
    const { url } = await serve({ "/": args[0] }, port);
    console.log(`Quantscope is at ${url}/ (Ctrl-C stops it)`);
  } catch (error) {
    if (error.code !== "EADDRINUSE") throw error;
    console.error(`Port ${port} is taken: try another one, as in \`make serve PORT=${port + 1}\`.`);
    process.exit(1);
  }
}
