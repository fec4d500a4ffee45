// The first minute: one click, then a page that can be seen, heard and steered.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { browserTest, readTable } from "./harness.mjs";
import { readNpy } from "./npz.mjs";
import { root } from "./server.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Opens the sample with one click and waits for its run and the weight ranges. */
async function trySample(page, app) {
  await page.getByRole("button", { name: "Try the sample" }).click();
  await page.getByRole("table", { name: "Model card street-digits-uint8" }).waitFor({ timeout: 60_000 });
  await app.weightRanges.locator("canvas").first().waitFor();
  await page.getByRole("status", { name: "Engine" }).filter({ hasText: "ready" }).waitFor({ timeout: 60_000 });
}

/** Chooses a layer of the sample by the name in its row. */
async function chooseConvolution(app) {
  await app.layers.getByRole("treeitem").filter({ hasText: "conv2d_1_2/BiasAdd" }).first().click();
  await app.weightDistribution.waitFor();
}

/** What axe finds that is serious or critical, a line each. */
async function violations(page) {
  await page.evaluate(axeSource);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.target.join(" ")).join("; ")}`);
}

browserTest("one click gives the first insight", async ({ t, page, app }) => {
  await page.evaluate(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => globalThis.longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
  });
  const began = Date.now();
  await trySample(page, app);
  t.diagnostic(`click to first insight: ${Date.now() - began} ms (asked: under 10,000 cold)`);
  await page.getByRole("tab", { name: "Run" }).click();
  const rows = await readTable(app.predictions);
  assert.equal(rows.length, 11, "ten classes, and the times below them");
  // The first test image is classified as ONNX Runtime did when the sample was recorded.
  for (const [column, variant] of [["street-digits", "float"], ["street-digits-int8", "int8"], ["street-digits-uint8", "uint8"]]) {
    const { data } = readNpy(readFileSync(join(root, `tests/fixtures/sample/predicted-${variant}.npy`)));
    assert.ok(rows[0][column].startsWith(`${data[0]} `), `${column}: ${rows[0][column]}, recorded ${data[0]}`);
  }
  const tasks = await page.evaluate(() => globalThis.longTasks);
  t.diagnostic(`main-thread tasks over 50 ms: ${tasks.length} (longest ${Math.max(0, ...tasks).toFixed(0)} ms; asked: none)`);
});

for (const colorScheme of ["light", "dark"]) {
  browserTest(`axe finds nothing serious on any view, ${colorScheme}`, async ({ page, app }) => {
    assert.deepEqual(await violations(page), [], "empty page");
    await trySample(page, app);
    assert.deepEqual(await violations(page), [], "overview");
    await chooseConvolution(app);
    await app.weightDistribution.locator("canvas").first().waitFor();
    assert.deepEqual(await violations(page), [], "layer");
    await page.getByRole("tab", { name: "Run" }).click();
    await app.predictions.waitFor();
    assert.deepEqual(await violations(page), [], "run");
    await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
    assert.deepEqual(await violations(page), [], "shortcuts");
  }, { colorScheme });
}

browserTest("the page is steered by keys", async ({ page, app }) => {
  await trySample(page, app);
  await page.keyboard.press("Control+f");
  assert.equal(await page.evaluate(() => document.activeElement.id), "find-layer");
  await page.keyboard.type("conv2d_3");
  await app.layers.getByRole("treeitem").first().waitFor();
  assert.ok((await app.layers.getByRole("treeitem").count()) < 6);
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await app.layers.getByRole("treeitem").first().focus();
  await page.keyboard.press("ArrowDown");
  const first = await app.layers.getByRole("treeitem", { selected: true }).innerText();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await app.layers.getByRole("treeitem", { selected: true }).innerText(), first);
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
});

browserTest("on a phone the layers and the inspector are drawers", async ({ page, app }) => {
  await trySample(page, app);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `the page is ${width} px wide`);
  await page.getByRole("button", { name: "Layers", exact: true }).click();
  await chooseConvolution(app);
  await page.getByRole("button", { name: "Inspector", exact: true }).click();
  await app.quantizationParameters.waitFor();
}, { viewport: { width: 390, height: 844 }, hasTouch: true });
