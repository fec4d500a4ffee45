// The first slice: dropped files are inspected, run and captured, with the numbers of the real runtimes.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { browserTest, download, readTable } from "./harness.mjs";
import { readNpy, readZip } from "./npz.mjs";
import { noReference, reference, root } from "./server.mjs";

/** Without fused multiply-add a value on a rounding edge may fall the other way, and later integers follow it. */
const EQUAL_INTEGERS = 0.99;

const fixtures = join(root, "tests/fixtures");
const model = (name) => join(fixtures, "models", name);
const json = (path) => JSON.parse(readFileSync(path, "utf8"));

/** A float32 in the fewest digits that read back as itself. */
function shortest(value) {
  for (let digits = 1; digits <= 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return String(Number(text));
  }
  return String(value);
}

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

  // The first convolution, found by the name of its weight: float, int8 and uint8 on one grid.
  await page.keyboard.press("Control+f");
  await page.keyboard.type("conv0_w");
  await app.layers.getByRole("treeitem").filter({ hasText: "weight" }).first().click();
  const statistics = app.weightDistribution.getByRole("table", { name: "Weight statistics" });
  await statistics.waitFor();
  assert.equal((await readTable(statistics)).length, 3);
  assert.match(page.url(), /parameter=weight/);

  // The recorded scale is on the page to the last bit, in the shortest form that reads back as the same float32.
  const weight = expected.quantized.find(({ tensor }) => tensor === "conv0_w_quantized");
  await shows(app.quantizationParameters, shortest(weight.scale[0]));
  await shows(app.quantizationParameters, `real = ${shortest(weight.scale[0])} × (q − ${weight.zero_point[0]})`);

  // The address leads back to the same selection.
  assert.match(page.url(), /view=layer&layer=/);
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
  const recorded = readZip(readFileSync(join(fixtures, "models/expected/tiny_int8.npz")));
  const steps = { equal: 0, all: 0 };
  for (const { name, op } of expected.tensors) {
    assert.ok(members.has(`${name}.npy`), `${name} is missing`);
    const [ours, theirs] = [members, recorded].map((archive) => readNpy(archive.get(`${name}.npy`)));
    assert.equal(ours.dtype, theirs.dtype, name);
    if (op !== "QuantizeLinear") continue;
    // The recording holds the first two inputs, the page ran the first.
    steps.all += ours.data.length;
    steps.equal += ours.data.filter((value, index) => value === theirs.data[index]).length;
  }
  assert.ok(steps.all > 0 && steps.equal / steps.all >= EQUAL_INTEGERS, `${steps.equal} of ${steps.all} integers equal`);

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

browserTest("a broken worker becomes a message and a fresh worker with the same files", async ({ page, app }) => {
  // The page's own worker is kept in sight, so that the test can let it report what a trap would.
  await page.addInitScript(() => {
    const Original = globalThis.Worker;
    globalThis.workers = [];
    globalThis.Worker = class extends Original {
      constructor(...parts) {
        super(...parts);
        globalThis.workers.push(this);
      }
    };
  });
  await app.goto();
  await app.open([model("tiny.onnx"), model("tiny_inputs.npy")]);
  const card = page.getByRole("table", { name: "Model card tiny" });
  await card.waitFor();
  await page.evaluate(() => globalThis.workers[0].dispatchEvent(new ErrorEvent("error", { message: "RuntimeError: unreachable" })));
  await shows(page.getByRole("alert", { name: "Problems" }), "RuntimeError: unreachable");
  await page.waitForFunction(() => globalThis.workers.length === 2);
  await card.waitFor();
  await app.run.click();
  await app.predictions.waitFor();
}, { path: null });

browserTest("the reference models give ONNX Runtime's numbers on the page", async ({ page, app }) => {
  const file = (path) => join(reference, path);
  await app.drop([file("models/resnet8.onnx"), file("models/resnet8_int8.onnx"), file("cifar10/test_batch_head.bin")]);
  await shows(page.getByRole("table", { name: "Model card resnet8_int8" }), "32 QuantizeLinear + 66 DequantizeLinear = 98 of 130 nodes (75.4 %)");
  await app.run.click();
  await app.predictions.waitFor();
  await shows(page.getByRole("region", { name: "Results" }), "cat");
  const rows = await readTable(app.predictions);
  const names = readFileSync(file("cifar10/batches.meta.txt"), "utf8").trim().split("\n");
  for (const [column, recorded] of [["resnet8", "resnet8__unoptimized"], ["resnet8_int8", "resnet8_int8__unoptimized"]]) {
    const { data } = readNpy(readFileSync(file(`expected/probs64/${recorded}.npy`)));
    const first = [...data.subarray(0, 10)];
    const best = first.indexOf(Math.max(...first));
    assert.equal(rows[0][column], `${names[best]} ${(first[best] * 100).toFixed(2)} %`);
  }
}, { skip: noReference });

browserTest("a dropped folder of class folders is a data set", async ({ page, app, t }) => {
  const folder = mkdtempSync(join(tmpdir(), "quantscope-classes-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [path, bytes] of readZip(readFileSync(join(fixtures, "data/class_folders.zip")))) {
    if (path.endsWith("/")) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  await app.drop([folder]);
  const inputs = page.getByRole("region", { name: "Inputs" });
  await shows(inputs, "3 classes");
  assert.equal((await readTable(inputs.getByRole("table")))[0].items, "6");
});
