// Trunk's post-build hook: names every file by its content, writes the Content-Security-Policy's hashes and the service
// worker's list. Runs in Trunk's staging folder, before that becomes dist/.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

const stage = process.env.TRUNK_STAGING_DIR;
const release = process.env.TRUNK_PROFILE === "release";
const sources = join(dirname(import.meta.dirname), "web");

const digest = (algorithm, bytes, encoding) => createHash(algorithm).update(bytes).digest(encoding);
const sri = (bytes) => `sha256-${digest("sha256", bytes, "base64")}`;

/** Replaces each of the pairs, and fails where one is not there: a silent miss would ship a page that cannot load. */
function fill(text, pairs, where) {
  for (const [from, to] of pairs) {
    if (!text.includes(from)) throw new Error(`${where}: found no ${JSON.stringify(from)}`);
    text = text.replaceAll(from, () => to);
  }
  return text;
}

const hashedName = (name, bytes) => name.replace(/(\.[^.]+)$/, `-${digest("sha256", bytes, "hex").slice(0, 16)}$1`);

/** Gives a file in the staging folder its hashed name, after `pairs` are replaced in it, and returns that name. */
function hash(name, pairs) {
  const file = join(stage, name);
  if (pairs) writeFileSync(file, fill(readFileSync(file, "utf8"), pairs, name));
  const hashed = hashedName(name, readFileSync(file));
  renameSync(file, join(stage, hashed));
  return hashed;
}

function fromSource(name, pairs) {
  writeFileSync(join(stage, name), readFileSync(join(sources, name)));
  return hash(name, pairs);
}

function files(folder = stage) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [relative(stage, join(folder, entry.name)).split(sep).join("/")],
  );
}

/**
 * A wasm module without its function names, a tenth of the transfer. (`strip = true` in Cargo.toml would also take the
 * section from which wasm-bindgen reads the features to use.)
 */
function withoutNames(bytes) {
  const kept = [bytes.subarray(0, 8)];
  let at;
  const number = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  for (let start = 8, end; start < bytes.length; start = end) {
    at = start + 1;
    const size = number();
    end = at + size;
    // Section 0 is a custom one, which begins with its name.
    const isNames = bytes[start] === 0 && number() === 4 && bytes.toString("utf8", at, at + 4) === "name";
    if (!isNames) kept.push(bytes.subarray(start, end));
  }
  return Buffer.concat(kept);
}

function hashWasm(name) {
  const file = join(stage, name);
  if (release) writeFileSync(file, withoutNames(readFileSync(file)));
  return hash(name);
}

// What a page or a worker loads, from the leaves up.
const styles = files().filter((name) => /^[^/]+\.css$/.test(name)).map((name) => [`./${name}`, `./${hash(name)}`]);
const appWasm = hashWasm("app_bg.wasm");
const app = hash("app.js", [["app_bg.wasm", appWasm]]);
const boot = fromSource("boot.js", [
  ["./app.js", `./${app}`],
  ["./app_bg.wasm", `./${appWasm}`],
  ["WASM_BYTES = 0", `WASM_BYTES = ${statSync(join(stage, appWasm)).size}`],
  // While developing, a cache would show yesterday's build.
  ["OFFLINE = false", `OFFLINE = ${release}`],
]);
const workerWasm = hashWasm("worker_bg.wasm");
const worker = hash("worker.js", [["worker_bg.wasm", workerWasm]]);
const workerBoot = fromSource("worker-boot.js", [
  ["./worker.js", `./${worker}`],
  ["./worker_bg.wasm", `./${workerWasm}`],
]);

// The page.
const page = join(stage, "index.html");
let html = fill(
  readFileSync(page, "utf8"),
  [
    ...styles,
    [
      "<!-- preload -->",
      [
        `<meta name="worker-url" content="./${workerBoot}">`,
        `<meta name="worker-wasm" content="./${workerWasm}">`,
        `<link rel="modulepreload" href="./${app}">`,
        `<link rel="preload" href="./${appWasm}" as="fetch" type="application/wasm" crossorigin="anonymous">`,
      ].join("\n  "),
    ],
    ["<!-- boot -->", `<script type="module" src="./${boot}"></script>`],
  ],
  "index.html",
);
const inline = (tag) =>
  [...html.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, "g"))].map(([, text]) => `'${sri(text)}'`).join(" ");
html = fill(
  html,
  release
    ? [["{script-hashes}", inline("script")], ["{style-hashes}", inline("style")]]
    : // `trunk serve` adds an inline script that listens for rebuilds.
      [["{script-hashes}", "'unsafe-inline'"], ["{style-hashes}", "'unsafe-inline'"], ["connect-src 'self'", "connect-src 'self' ws:"]],
  "index.html",
);
writeFileSync(page, html);

// The service worker knows every file by its hash; the page itself by the address that visitors use.
rmSync(join(stage, "sw.js"), { force: true });
const list = files()
  .sort()
  .map((path) => [path === "index.html" ? "./" : path, sri(readFileSync(join(stage, path)))]);
const sample = list.filter(([path]) => path.startsWith("sample/"));
const application = list.filter(([path]) => !path.startsWith("sample/"));
const build = (entries) => digest("sha256", JSON.stringify(entries), "hex").slice(0, 16);
writeFileSync(
  join(stage, "sw.js"),
  fill(
    readFileSync(join(sources, "sw.js"), "utf8"),
    [
      ['APP_BUILD = ""', `APP_BUILD = "${build(application)}"`],
      ["const APP = []", `const APP = ${JSON.stringify(application, null, 1)}`],
      ['SAMPLE_BUILD = ""', `SAMPLE_BUILD = "${build(sample)}"`],
      ["const SAMPLE = []", `const SAMPLE = ${JSON.stringify(sample, null, 1)}`],
    ],
    "sw.js",
  ),
);
