// The layer tree of a deep network: a part of its rows is drawn, and every row can be reached.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deepModel } from "./deep.mjs";
import { browserTest } from "./harness.mjs";
import { settled } from "./sample.mjs";

const LAYERS = 2000;

browserTest("the tree of two thousand layers is drawn in part and reached as a whole", async ({ page, app, t }) => {
  const folder = mkdtempSync(join(tmpdir(), "quantscope-deep-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "deep.onnx");
  writeFileSync(file, deepModel(LAYERS));
  await app.open([file]);
  await page.getByRole("table", { name: "Model card deep" }).waitFor();
  await settled(page);
  const rows = app.layers.getByRole("treeitem");
  const drawn = await rows.count();
  assert.ok(drawn >= 40 && drawn <= 300, `${drawn} rows are drawn`);
  assert.equal(await rows.first().getAttribute("aria-setsize"), String(LAYERS));
  const seen = (place) => page.locator(`[role=treeitem][aria-posinset="${place}"]`);

  // Scrolled to its end, the last rows are there and where they belong: at the lower edge.
  await app.layers.evaluate((tree) => (tree.scrollTop = tree.scrollHeight));
  await seen(LAYERS).waitFor();
  await settled(page);
  await app.layers.evaluate((tree) => (tree.scrollTop = tree.scrollHeight));
  const [tree, last] = [await app.layers.boundingBox(), await seen(LAYERS).boundingBox()];
  assert.ok(last.y + last.height <= tree.y + tree.height + 1 && last.y > tree.y, `the last row at ${last.y}, the tree from ${tree.y} to ${tree.y + tree.height}`);

  // In the middle no hole is left, and keys go on from a row that was clicked there.
  await app.layers.evaluate((tree) => (tree.scrollTop = tree.scrollHeight / 2));
  await settled(page);
  const middle = await page.evaluate(() => {
    const tree = document.querySelector("[role=tree]").getBoundingClientRect();
    const at = (share) => document.elementFromPoint(tree.left + 60, tree.top + tree.height * share)?.closest("[role=treeitem]");
    return [0.1, 0.5, 0.9].map((share) => at(share)?.ariaPosInSet ?? null);
  });
  assert.ok(middle.every((place) => place !== null) && Math.abs(Number(middle[1]) - LAYERS / 2) < 40, middle.join(", "));
  await seen(middle[1]).click();
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction((place) => document.activeElement.ariaPosInSet === place, String(Number(middle[1]) + 1));

  await page.keyboard.press("Control+f");
  await page.keyboard.type(`step_${LAYERS - 1}`);
  await settled(page);
  assert.equal(await rows.count(), 1);
});
