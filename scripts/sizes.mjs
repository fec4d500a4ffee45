// Says what a first visit transfers: every file of the folder but the sample, raw and as a static host compresses it.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const folder = process.argv[2];
const total = { raw: 0, gzip: 0 };
for (const name of readdirSync(folder, { recursive: true }).sort()) {
  if (!/\.(wasm|js|css|html)$/.test(name) || name.startsWith("sample")) continue;
  const bytes = readFileSync(join(folder, name));
  total.raw += bytes.length;
  total.gzip += gzipSync(bytes).length;
}
const mb = (bytes) => (bytes / 1e6).toFixed(2);
console.log(`build: ${folder}/ is ready, ${mb(total.raw)} MB of code and page (${mb(total.gzip)} MB compressed with gzip)`);
