// From a float model to a quantized one, in the page: it equals ONNX Runtime's, is open beside the others, and is a file.
import assert from "node:assert/strict";
import { browserTest, download, readTable } from "./harness.mjs";
import { settled, trySample } from "./sample.mjs";

/** The tab of the sample's page, and its controls. */
async function openQuantize(page, app) {
  await trySample(page, app);
  await page.getByRole("tab", { name: "Quantize" }).click();
  const region = page.getByRole("region", { name: "Quantize", exact: true });
  const box = (name) => region.getByRole("combobox", { name, exact: true });
  const number = (name) => region.getByRole("spinbutton", { name, exact: true });
  const check = (name) => region.getByRole("checkbox", { name, exact: true });
  const button = region.getByRole("button", { name: "Quantize", exact: true });
  const made = region.getByRole("status", { name: "Quantized" });
  return { region, box, number, check, button, made };
}

browserTest("a float model becomes the one that ONNX Runtime makes of it", async ({ t, page, app }) => {
  const { region, box, number, check, button, made } = await openQuantize(page, app);
  assert.equal(await box("Model").locator("option").count(), 1, "only the float model can be quantized");
  assert.match(await box("Calibration data").locator("option:checked").innerText(), /calib/);
  await number("Count").fill("1000");
  await check("Compare methods").uncheck();
  const began = Date.now();
  await button.click();
  await made.waitFor({ timeout: 90_000 });
  t.diagnostic(`1,000 images in ${Date.now() - began} ms`);
  await settled(page);
  const file = await download(page, () => region.getByRole("button", { name: "Download ONNX" }).click());
  assert.equal(file.name, "street-digits_int8.onnx");
  assert.ok(file.bytes.length > 80_000);
  // ONNX Runtime's own file of the same choice is open too: both must answer every image alike.
  await region.getByRole("button", { name: "Compare accuracy" }).click();
  const evaluate = page.getByRole("region", { name: "Evaluate", exact: true });
  await evaluate.getByRole("spinbutton", { name: "Number of images" }).fill("100");
  await evaluate.getByRole("button", { name: "Evaluate", exact: true }).click();
  await evaluate.getByRole("status", { name: "Evaluation progress" }).filter({ hasText: "100 images each" }).waitFor({ timeout: 60_000 });
  const saved = await download(page, () => page.getByRole("button", { name: "Report JSON" }).click());
  const report = saved.json();
  const of = (model) => report.find((one) => one.model === model);
  assert.deepEqual(of("street-digits_int8.onnx").confusion, of("street-digits-int8.onnx").confusion);
});

browserTest("methods are compared, limits are said, lists are read", async ({ page, app }) => {
  const { region, box, number, check, button, made } = await openQuantize(page, app);
  await box("Preset").selectOption("torch-fbgemm");
  assert.ok(await check("Per channel").isChecked());
  await box("Weights").selectOption("uint8");
  const problems = region.getByRole("list", { name: "What does not go together" });
  await problems.filter({ hasText: "no uint8 weights" }).waitFor();
  await box("Preset").selectOption("ort-static");
  await box("Weights").selectOption("uint8");
  await problems.filter({ hasText: "no kernels" }).waitFor();
  assert.ok(await button.isDisabled(), "what cannot be done cannot be started");
  await box("Weights").selectOption("int8");
  await box("Images").selectOption("list");
  await region.getByRole("textbox", { name: "Positions" }).fill("0-9, 20");
  await box("Calibration").selectOption("Percentile");
  await number("Percentile").fill("99.9");
  await check("Fold batch norm and constants").check();
  await button.click();
  await made.filter({ hasText: "calibrated on 11 images" }).waitFor({ timeout: 60_000 });
  const rows = await readTable(page.getByRole("table", { name: "Calibration methods" }));
  assert.ok(rows.length > 10);
  assert.deepEqual(Object.keys(rows[0]), ["tensor", "Percentile", "MinMax", "moving average", "Entropy", "Distribution", "MSE"]);
  const width = (range) => range.split(" … ").map(Number).reduce((low, high) => high - low);
  const narrower = rows.filter((row) => width(row.Percentile) < width(row.MinMax)).length;
  assert.ok(narrower > rows.length / 2, `${narrower} of ${rows.length} are narrower`);
  const csv = await download(page, () => page.getByRole("region", { name: "Calibration methods" }).getByRole("button", { name: "CSV" }).click());
  assert.equal(csv.bytes.toString().trim().split("\n").length, rows.length * 6 + 1);
});

browserTest("a quantization is cancelled and nothing is lost", async ({ page, app }) => {
  const { button, made } = await openQuantize(page, app);
  await button.click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await settled(page);
  assert.equal(await made.count(), 0);
  assert.ok(await button.isEnabled());
});
