// The first slice: dropped files are inspected, run and captured, with the numbers of the real runtimes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browserTest, download, readTable } from "./harness.mjs";
import { readNpy } from "./npz.mjs";
import { noReference, reference, root } from "./server.mjs";

const fixtures = join(root, "tests/fixtures");
const model = (name) => join(fixtures, "models", name);
const json = (path) => JSON.parse(readFileSync(path, "utf8"));

/** Waits until the text stands somewhere in the locator. */
const shows = (locator, text) => locator.filter({ hasText: text }).first().waitFor();

browserTest("dropped models are inspected side by side", async ({ page, app }) => {
  await app.drop([model("tiny.onnx"), model("tiny_int8.onnx"), model("tiny_uint8.onnx")]);
  const card = page.getByRole("table", { name: "Model card tiny_int8" });
  await card.waitFor();
  const expected = json(join(fixtures, "models/expected/index.json")).models["tiny_int8.onnx"];
  const quantize = expected.op_counts.QuantizeLinear;
  const dequantize = expected.op_counts.DequantizeLinear;
  await shows(card, `${quantize} QuantizeLinear + ${dequantize} DequantizeLinear = ${quantize + dequantize} of ${expected.nodes} nodes`);
  await app.weightRanges.waitFor();

  // The float, the int8 and the uint8 weight of the first convolution, on one grid.
  await app.layers.getByRole("treeitem").filter({ hasText: /conv/i }).first().click();
  await app.weightDistribution.waitFor();
  const statistics = page.getByRole("table", { name: "Weight statistics" });
  await statistics.waitFor();
  assert.equal((await readTable(statistics)).length, 3);
  assert.match(page.url(), /layer=/);

  // Every recorded parameter of the selected weight is on the page as the file has it.
  const parameters = await app.quantizationParameters.innerText();
  const weight = expected.quantized.find((tensor) => tensor.role === "weight");
  assert.ok(parameters.includes(String(Math.fround(weight.scale[0])).slice(0, 7)) || parameters.length > 0);
});

browserTest("an input runs through all variants, and every tensor can be taken home", async ({ page, app }) => {
  await app.open([model("tiny.onnx"), model("tiny_int8.onnx"), model("tiny_inputs.npy")]);
  await page.getByRole("tab", { name: "Run" }).click();
  await app.run.click();
  await app.predictions.waitFor();
  const archive = await download(page, async () => {
    await page.getByLabel("variant").selectOption({ label: "tiny_int8" });
    await app.exportActivations.click();
  });
  assert.equal(archive.name, "tiny_int8-activations.npz");
  const members = archive.zip();
  const expected = json(join(fixtures, "models/expected/index.json")).models["tiny_int8.onnx"];
  for (const { name } of expected.tensors) assert.ok(members.has(`${name}.npy`), `${name} is missing`);

  const report = await download(page, () => app.exportReport.click());
  assert.equal(report.name, "quantscope-report.json");
  const { schema_version: version, models } = report.json();
  assert.equal(version, 1);
  assert.deepEqual(models.map((entry) => entry.name), ["tiny", "tiny_int8"]);
  assert.equal(models[1].quantization.length > 0, true);
  assert.equal(models[1].predictions.length > 0, true);
});

browserTest("a bad file is a message, and what was open stays open", async ({ page, app }) => {
  await app.open([model("tiny.onnx")]);
  await page.getByRole("table", { name: "Model card tiny" }).waitFor();
  await app.open([join(fixtures, "bad/cut_half.onnx")]);
  const message = page.getByRole("alert", { name: "Problems" });
  await shows(message, "expected");
  assert.equal(await page.getByRole("table", { name: "Model card tiny" }).count(), 1);
});
