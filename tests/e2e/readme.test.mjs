// The README's pictures: each is there, and the script that remakes them makes it.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./server.mjs";

test("every picture of the README is there, and is made by the script", () => {
  const text = readFileSync(join(root, "README.md"), "utf8");
  const script = readFileSync(join(root, "scripts/screenshots.mjs"), "utf8");
  const pictures = [...text.matchAll(/!\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src="([^"]+)"/g)].map((found) => found[1] ?? found[2]);
  assert.ok(pictures.length > 0, "the README has pictures");
  const missing = pictures.filter((path) => !existsSync(join(root, path)));
  assert.deepEqual(missing, [], "not in the repository; `make screenshots` makes them");
  const unmade = pictures.filter((path) => path.startsWith("docs/") && !script.includes(`"${path.slice("docs/".length).replace(/\.png$/, "")}"`));
  assert.deepEqual(unmade, [], "scripts/screenshots.mjs does not make them");
});
