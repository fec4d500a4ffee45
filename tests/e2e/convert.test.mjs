// Other formats in and out, in the page: converted, compared with what the frameworks recorded, taken home.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browserTest, download, readTable } from "./harness.mjs";
import { readNpy, readZip } from "./npz.mjs";
import { settled } from "./sample.mjs";
import { noReference, reference, root } from "./server.mjs";

const net = (name) => join(root, "tests/fixtures/convert", name);
const models = (name) => join(reference, "models", name);
/** Probabilities: Keras, ONNX Runtime and PyTorch agree within this much. */
const PROBABILITY = 2e-6;

/** The Convert tab with these files open. */
async function openConvert(page, app, files) {
  await app.open(files);
  await page.getByRole("list", { name: "Open models" }).getByRole("listitem").nth(files.filter((file) => !file.endsWith(".bin")).length - 1).waitFor();
  await settled(page);
  await page.getByRole("tab", { name: "Convert" }).click();
  const region = (name) => page.getByRole("region", { name, exact: true });
  const conversion = region("Conversion");
  return {
    conversion,
    check: region("Conversion check"),
    parity: region("Parity"),
    code: region("Source code"),
    from: conversion.getByRole("status", { name: "Converted from" }),
    opset: conversion.getByRole("combobox", { name: "Opset", exact: true }),
    fold: conversion.getByRole("checkbox", { name: "Fold batch norm", exact: true }),
    convert: conversion.getByRole("button", { name: "Convert", exact: true }),
  };
}

/** Chooses a recording through the button. */
async function chooseRecording(page, check, file) {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), check.getByRole("button", { name: "Choose recorded outputs" }).click()]);
  await chooser.setFiles(file);
  return check.getByRole("status", { name: "Conversion check result" });
}

browserTest("a Keras file is converted with options and equals what Keras recorded", async ({ t, page, app }) => {
  const { conversion, check, from, opset, fold, convert } = await openConvert(page, app, [net("net.h5")]);
  await from.filter({ hasText: "net.h5 was converted from an HDF5 file" }).waitFor();
  assert.deepEqual(await opset.locator("option").allInnerTexts(), Array.from({ length: 14 }, (_, at) => `${13 + at}`));
  assert.equal(await opset.inputValue(), "15");
  const layers = check.getByRole("table", { name: "Conversion check" });
  let result = await chooseRecording(page, check, net("recorded_h5.npz"));
  await result.filter({ hasText: "10 of 10 layers are equal within 1e-5. No layer differs." }).waitFor();
  const rows = await readTable(layers);
  assert.deepEqual(rows.map((row) => row.layer), ["image", "stem", "stem_bn", "stem_relu", "depth", "point", "joined", "pool", "mean", "classes"]);
  assert.equal(rows[4]["order of axes"], "NCHW here, NHWC there");
  const probabilities = Number(rows.at(-1)["max error"]);
  t.diagnostic(`probabilities: ${probabilities}`);
  assert.ok(probabilities <= PROBABILITY);
  // A tolerance that no float32 meets: the first layer that differs is named, and leads to the tree.
  await check.getByRole("spinbutton", { name: "Tolerance" }).fill("1e-12");
  await check.getByRole("spinbutton", { name: "Tolerance" }).press("Enter");
  await result.filter({ hasText: "The first that differs: stem" }).waitFor();
  await layers.getByRole("columnheader", { name: "max error" }).getByRole("button").click();
  const sorted = (await readTable(layers)).map((row) => Number(row["max error"]));
  assert.deepEqual(sorted, [...sorted].sort((a, b) => b - a));
  await result.getByRole("button", { name: /^stem/ }).click();
  assert.equal(await page.getByRole("tab", { name: "Layer", exact: true }).getAttribute("aria-selected"), "true");
  await page.getByRole("tab", { name: "Convert" }).click();
  // The weights of the file itself.
  await check.getByRole("button", { name: "Check weights" }).click();
  await check.getByRole("status", { name: "Weights checked" }).filter({ hasText: /7 of 11 source tensors are constants here, 7 with equal bits/ }).waitFor();
  // Other options put another model in its place.
  await fold.check();
  await opset.selectOption("21");
  await convert.click();
  await from.filter({ hasText: "opset 21" }).waitFor();
  assert.ok(await fold.isChecked());
  await conversion.getByRole("list", { name: "Conversion notes" }).filter({ hasText: "folded" }).waitFor();
  result = await chooseRecording(page, check, net("recorded_h5.npz"));
  await result.filter({ hasText: "The first that differs" }).waitFor();
  await check.getByRole("spinbutton", { name: "Tolerance" }).fill("1e-5");
  await check.getByRole("spinbutton", { name: "Tolerance" }).press("Enter");
  await result.filter({ hasText: "No layer differs." }).waitFor();
});

browserTest("a scripted network is converted once its input has a shape", async ({ page, app }) => {
  const { conversion, convert } = await openConvert(page, app, [join(root, "tests/fixtures/torch/head_script.pt")]);
  const notes = conversion.getByRole("list", { name: "Conversion notes" });
  await notes.filter({ hasText: "convert again with an input shape" }).waitFor();
  const shape = conversion.getByRole("textbox", { name: "Input shape" });
  await shape.fill("N,3,many");
  await conversion.getByRole("alert").filter({ hasText: "'many' is no dim" }).waitFor();
  assert.ok(await convert.isDisabled(), "what is no shape is not sent");
  await shape.fill("N,3,16,21");
  await convert.click();
  await conversion.getByRole("status", { name: "Converted from" }).filter({ hasText: /: [1-9]\d* nodes/ }).waitFor();
  assert.equal(await notes.filter({ hasText: "input shape" }).count(), 0);
  assert.equal(await shape.inputValue(), "N, 3, 16, 21", "as it was converted");
});

browserTest("a recording that is dropped is compared, one that does not fit is said", async ({ page, app }) => {
  const { check } = await openConvert(page, app, [net("net_fx.pt")]);
  await app.drop([net("recorded_fx.npz")]);
  await check.getByRole("status", { name: "Conversion check result" }).filter({ hasText: "No layer differs." }).waitFor();
  await chooseRecording(page, check, net("weights.npz"));
  await page.getByText("the input that was recorded", { exact: false }).or(page.getByText("none of which the model has", { exact: false })).first().waitFor();
});

browserTest("one network in four formats has equal weights", async ({ page, app }) => {
  const { parity } = await openConvert(page, app, ["net.h5", "net_state.pt", "net.onnx", "net_script.pt"].map(net));
  await parity.getByRole("button", { name: "Compare weights" }).click();
  const table = parity.getByRole("table", { name: "Parity" });
  await table.waitFor();
  const rows = await readTable(table);
  const point = rows.find((row) => /point\/kernel/.test(row["name in each file"]));
  assert.match(point["name in each file"], /net_state\.pt: point\.weight/);
  assert.equal(point.equal, "equal bits");
  assert.match(point["order of axes"], /\[/);
  const result = await parity.getByRole("status", { name: "Parity result" }).innerText();
  assert.match(result, /equal bit by bit/);
});

browserTest("models go home as ONNX, PyTorch, C and numpy, with their code shown", async ({ page, app }) => {
  const { conversion, code } = await openConvert(page, app, [net("net_script.pt")]);
  await code.getByRole("group", { name: "source code" }).filter({ hasText: "def forward" }).waitFor();
  const save = (name) => download(page, () => conversion.getByRole("button", { name, exact: true }).click());
  const onnx = await save("Download ONNX");
  assert.equal(onnx.name, "net_script.onnx");
  const torch = await save("Export PyTorch");
  assert.equal(torch.name, "net_script_pytorch.zip");
  const files = readZip(torch.bytes);
  assert.match(files.get("model.py").toString(), /class Model\(/);
  assert.ok(files.has("model.safetensors") && files.has("model.pt"));
  const header = await save("Export C header");
  assert.equal(header.name, "net_script.h");
  assert.match(header.bytes.toString(), /static const float/);
  const weights = await save("Export weights");
  assert.equal(weights.name, "net_script_weights.npz");
  const arrays = [...readZip(weights.bytes)].map(([, bytes]) => readNpy(bytes));
  assert.ok(arrays.some((array) => array.shape.join() === "6,3,3,3"));
});

browserTest("the reference's Keras file gives Keras's own predictions", async ({ t, page, app }) => {
  const { conversion, fold, from, convert } = await openConvert(page, app, [models("pretrainedResnet.h5"), join(reference, "cifar10/test_batch_head.bin")]);
  await from.filter({ hasText: "39 nodes" }).waitFor();
  await fold.check();
  await convert.click();
  await from.filter({ hasText: "25 nodes" }).waitFor();
  await conversion.getByRole("list", { name: "Conversion notes" }).filter({ hasText: "folded" }).waitFor();
  // The model that was converted again is evaluated in workers that open the files by themselves.
  await page.getByRole("tab", { name: "Evaluate" }).click();
  await page.getByRole("button", { name: "Evaluate", exact: true }).click();
  await page.getByRole("status", { name: "Evaluation progress" }).filter({ hasText: "1,017 images each" }).waitFor({ timeout: 90_000 });
  const [row] = await readTable(page.getByRole("table", { name: "Accuracy", exact: true }));
  assert.equal(row.correct, "895 of 1,017");
  // Keras's probabilities of the first images, against the run's own.
  const expected = readNpy(readFileSync(join(reference, "expected/probs64/keras.npy")));
  const activations = await runAndSave(page, app);
  const output = activations.find((array) => array.shape.join() === "1,10" && Math.abs(array.data.reduce((sum, p) => sum + p, 0) - 1) < 1e-4);
  const difference = Math.max(...output.data.map((value, at) => Math.abs(value - expected.data[at])));
  t.diagnostic(`probabilities of the first image: ${difference} off`);
  assert.ok(difference <= PROBABILITY);
}, { skip: noReference });

/** Runs the first test image and reads every tensor of the run. */
async function runAndSave(page, app) {
  await app.run.click();
  await settled(page);
  await page.getByRole("tab", { name: "Run", exact: true }).click();
  const file = await download(page, () => app.exportActivations.first().click());
  return [...readZip(file.bytes)].map(([, bytes]) => readNpy(bytes));
}

browserTest("the reference is the same network as .h5, .pt and .onnx", async ({ page, app }) => {
  const { parity } = await openConvert(page, app, ["pretrainedResnet.h5", "resnet8.pt", "resnet8.onnx"].map(models));
  await parity.getByRole("button", { name: "Compare weights" }).click();
  const table = parity.getByRole("table", { name: "Parity" });
  await table.waitFor();
  const rows = (await readTable(table)).filter((row) => ["pretrainedResnet.h5: ", "resnet8.pt: ", "resnet8: "].every((name) => row["name in each file"].includes(name)));
  assert.ok(rows.length >= 34, `${rows.length} weights in all three`);
  assert.ok(rows.every((row) => Number(row["max error"]) <= 1e-6));
  assert.equal(rows.filter((row) => row.weight.endsWith("weight") && row.equal !== "equal bits").length, 0);
}, { skip: noReference });

browserTest("resnet8_int8.pt runs in the page as PyTorch runs it", async ({ t, page, app }) => {
  const { conversion, code } = await openConvert(page, app, [models("resnet8_int8.pt"), join(reference, "cifar10/test_batch_head.bin")]);
  await code.getByRole("group", { name: "source code" }).filter({ hasText: "quantized" }).waitFor();
  assert.ok((await conversion.getByRole("list", { name: "PyTorch notes" }).innerText()).length > 0);
  await page.getByRole("tab", { name: "Evaluate" }).click();
  await page.getByRole("button", { name: "Evaluate", exact: true }).click();
  await page.getByRole("status", { name: "Evaluation progress" }).filter({ hasText: "1,017 images each" }).waitFor({ timeout: 110_000 });
  const [row] = await readTable(page.getByRole("table", { name: "Accuracy", exact: true }));
  t.diagnostic(`resnet8_int8.pt: ${row.correct}`);
  const correct = Number(row.correct.split(" ")[0]);
  assert.ok(Math.abs(correct - 884) <= 6, `${correct}, PyTorch has 884`);
}, { skip: noReference });
