// Accuracy on a data set: the figures are those that ONNX Runtime gave for the same images.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browserTest, download, readTable } from "./harness.mjs";
import { readNpy } from "./npz.mjs";
import { settled, trySample } from "./sample.mjs";
import { root } from "./server.mjs";

const IMAGES = 300;
/** wasm sums in another order than a native ONNX Runtime: a few predictions on the edge may differ. */
const MOST_DIFFERENT = 3;

browserTest("models are evaluated on all cores and reported", async ({ t, page, app }) => {
  await trySample(page, app);
  await page.getByRole("tab", { name: "Evaluate" }).click();
  const region = page.getByRole("region", { name: "Evaluate", exact: true });
  await region.getByRole("spinbutton", { name: "Number of images" }).fill(String(IMAGES));
  await region.getByRole("button", { name: "Evaluate", exact: true }).click();
  await region.getByRole("status", { name: "Evaluation progress" }).filter({ hasText: `${IMAGES} images each` }).waitFor({ timeout: 120_000 });
  t.diagnostic(await region.getByRole("status", { name: "Evaluation progress" }).innerText());
  const saved = await download(page, () => page.getByRole("button", { name: "Report JSON" }).click());
  assert.equal(saved.name, "evaluation.json");
  const report = JSON.parse(saved.bytes.toString("utf8"));
  assert.deepEqual(report.map((one) => one.model), ["street-digits.onnx", "street-digits-int8.onnx", "street-digits-uint8.onnx"]);
  for (const [position, variant] of [["0", "float"], ["1", "int8"], ["2", "uint8"]]) {
    const one = report[position];
    const { data } = readNpy(readFileSync(join(root, `tests/fixtures/sample/predicted-${variant}.npy`)));
    // The recorded predictions in a row per predicted class: the matrix' columns must add up to them.
    const recorded = Array(10).fill(0);
    for (const predicted of [...data].slice(0, IMAGES)) recorded[Number(predicted)] += 1;
    const found = one.confusion[0].map((_, column) => one.confusion.reduce((sum, row) => sum + row[column], 0));
    const apart = recorded.reduce((sum, count, at) => sum + Math.abs(count - found[at]), 0) / 2;
    assert.ok(apart <= MOST_DIFFERENT, `${variant}: ${found} instead of ${recorded}`);
    assert.equal(one.overall.total, IMAGES);
    assert.equal(one.overall.correct, one.confusion.reduce((sum, row, at) => sum + row[at], 0));
    assert.ok(one.per_class.every(({ correct, total, accuracy }) => Math.abs(accuracy - correct / total) < 1e-12));
  }
  const rows = await readTable(page.getByRole("table", { name: "Accuracy", exact: true }));
  assert.equal(rows.length, 3);
  assert.ok(rows[0].correct.startsWith(`${report[0].overall.correct} of `), JSON.stringify(rows[0]));
  assert.equal((await readTable(page.getByRole("table", { name: "Accuracy per class" }))).length, 10);
  assert.equal(await page.getByRole("table", { name: "Confusion matrix" }).getByRole("row").count(), 11);
  const flips = page.getByRole("table", { name: "Flips" }).getByRole("button");
  if (await flips.count()) {
    await flips.first().click();
    await page.getByRole("tab", { name: "Layer", selected: true }).waitFor({ timeout: 30_000 });
  }
  await settled(page);
});

browserTest("an evaluation is stopped, and what it found stays", async ({ page, app }) => {
  await trySample(page, app);
  await page.getByRole("tab", { name: "Evaluate" }).click();
  const region = page.getByRole("region", { name: "Evaluate", exact: true });
  await region.getByRole("button", { name: "Evaluate", exact: true }).click();
  const progress = region.getByRole("status", { name: "Evaluation progress" });
  await progress.filter({ hasText: /^[1-9][0-9,]* of/ }).waitFor({ timeout: 60_000 });
  await page.getByRole("button", { name: "Cancel" }).click();
  await progress.filter({ hasText: "stopped after" }).waitFor({ timeout: 30_000 });
  assert.equal((await readTable(page.getByRole("table", { name: "Accuracy", exact: true }))).length, 3);
});

browserTest("an edited model is evaluated beside its file", async ({ page, app }) => {
  await trySample(page, app);
  await page.getByRole("tab", { name: "Playground" }).click();
  const editor = page.getByRole("region", { name: "Quantization editor" });
  const scale = editor.getByLabel("Scale", { exact: true });
  await scale.waitFor();
  const before = Number(await scale.inputValue());
  await scale.fill(String(before * 40));
  await scale.press("Enter");
  await page.getByRole("tab", { name: "Evaluate" }).click();
  const region = page.getByRole("region", { name: "Evaluate", exact: true });
  await region.getByRole("checkbox", { name: /\(edited\)/ }).waitFor();
  const baseline = region.getByRole("combobox", { name: "Baseline", exact: true });
  assert.equal(await baseline.locator("option:checked").textContent(), "street-digits");
  await baseline.selectOption({ label: "street-digits-int8" });
  await region.getByRole("spinbutton", { name: "Number of images" }).fill("60");
  await region.getByRole("button", { name: "Evaluate", exact: true }).click();
  await region.getByRole("status", { name: "Evaluation progress" }).filter({ hasText: "60 images each" }).waitFor({ timeout: 60_000 });
  const saved = await download(page, () => page.getByRole("button", { name: "Report JSON" }).click());
  const report = saved.json();
  assert.equal(report.length, 4);
  assert.equal(report[0].model, "street-digits-int8.onnx");
  const edited = report.find((one) => one.model.endsWith("(edited)"));
  const file = report.find((one) => one.model === edited.model.replace(" (edited)", ""));
  assert.ok(edited.overall.correct < file.overall.correct, `a scale 40 times too large: ${edited.overall.correct} against ${file.overall.correct}`);
});
