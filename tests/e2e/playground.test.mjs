// The playground: a person holds the quantization table in his hands.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { browserTest, download, readTable } from "./harness.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The promises for one image of the sample's network. */
const WORKER_P95_MS = 16;
const PIXELS_P95_MS = 50;

/** The playground as a test sees it. */
class Playground {
  constructor(page, app) {
    this.page = page;
    this.app = app;
    this.editor = page.getByRole("region", { name: "Quantization editor" });
    this.compare = page.getByRole("region", { name: "Before and after" });
    this.scale = this.editor.getByLabel("Scale", { exact: true });
    this.zeroPoint = this.editor.getByLabel("Zero point", { exact: true });
    this.bits = this.editor.getByLabel("Bits", { exact: true });
    this.undo = page.getByRole("button", { name: "Undo", exact: true });
    this.redo = page.getByRole("button", { name: "Redo", exact: true });
    this.reset = page.getByRole("button", { name: "Reset", exact: true });
    this.history = page.getByRole("list", { name: "History" }).getByRole("listitem");
    this.logits = page.getByRole("table", { name: "Logits" });
    this.layerError = page.getByRole("table", { name: "Layer error" });
    this.lower = page.getByRole("slider", { name: "Lower clip" });
    this.upper = page.getByRole("slider", { name: "Upper clip" });
    this.engine = page.getByRole("status", { name: "Engine" });
  }

  /** Opens the sample, and of it the playground with a convolution's weight. */
  static async open(page, app) {
    // A reloaded page is on the tab that it was left on.
    await page.getByRole("tab", { name: "Overview" }).click();
    await page.getByRole("button", { name: "Try the sample" }).click();
    await page.getByRole("table", { name: "Model card street-digits-uint8" }).waitFor({ timeout: 60_000 });
    const playground = new Playground(page, app);
    await playground.engine.filter({ hasText: "ready" }).waitFor({ timeout: 60_000 });
    await page.getByRole("tab", { name: "Playground" }).click();
    await playground.editor.waitFor();
    return playground;
  }

  /** Chooses a layer in the tree, and waits for its weight's picture. */
  async chooseLayer(name = "conv2d_1_2/BiasAdd") {
    if (!(await this.app.layers.isVisible())) await this.page.getByRole("button", { name: "Layers", exact: true }).click();
    await this.app.layers.getByRole("treeitem").filter({ hasText: name }).first().click();
    await this.upper.waitFor();
  }

  /** Goes on from tensor to tensor until one of this kind is edited. */
  async chooseKind(kind) {
    const chosen = this.editor.getByRole("group", { name: "Tensors of this layer" }).locator("[aria-pressed=true]");
    for (let step = 0; !(await chosen.innerText()).startsWith(kind); step++) {
      assert.ok(step < 80, `there is no ${kind}`);
      await this.editor.getByRole("button", { name: "Next tensor" }).click();
    }
    await this.upper.waitFor();
  }

  /** A checkbox or a field of the editor. */
  field(name) {
    return this.editor.getByLabel(name, { exact: true });
  }

  async type(field, text) {
    await field.fill(text);
    await field.press("Enter");
  }

  /** Waits until the history has so many entries, applied ones and taken-back ones. */
  async entries(count) {
    await this.page.waitForFunction((count) => document.querySelectorAll("ol[aria-label=History] > li").length === count, count);
  }

  /** The column of the logits table. */
  async column(name) {
    return (await readTable(this.logits)).map((row) => row[name]);
  }

  /** Whether the edited model says something else than the original; waits until it does or does not. */
  async differs(expected) {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const [original, edited] = [await this.column("original"), await this.column("edited")];
      assert.ok(original.length > 0 && edited.length > 0, "there are logits");
      if ((String(original) !== String(edited)) === expected) return;
      assert.ok(Date.now() < deadline, `edited logits ${expected ? "equal" : "differ from"} the original ones`);
      await this.page.waitForTimeout(50);
    }
  }
}

function playgroundTest(name, body, options) {
  browserTest(name, async (context) => body({ ...context, playground: await Playground.open(context.page, context.app) }), options);
}

playgroundTest("an edited scale moves the prediction, and every way back works", async ({ page, playground }) => {
  await playground.chooseLayer();
  await playground.differs(false);
  const before = Number(await playground.scale.inputValue());
  assert.ok(before > 0, "one scale for the tensor");
  await playground.type(playground.scale, String(before * 6));
  await playground.entries(1);
  await playground.differs(true);
  assert.match(await playground.history.first().innerText(), /scale/i, "the history names the edit");
  await playground.undo.click();
  await playground.differs(false);
  assert.equal(Number(await playground.scale.inputValue()), before);
  await playground.redo.click();
  await playground.differs(true);
  // The keys, with the focus in the editor and outside of it.
  await playground.scale.focus();
  await page.keyboard.press("Control+z");
  await playground.differs(false);
  await page.keyboard.press("Control+Shift+Z");
  await playground.differs(true);
  await page.keyboard.press("Control+z");
  await playground.differs(false);
  await page.keyboard.press("Control+y");
  await playground.differs(true);
  assert.ok(await page.getByRole("list", { name: "Open models" }).getByText("1 edit").isVisible(), "the model is marked");
  assert.ok(await page.getByRole("tree").getByTitle("differs from the file").isVisible(), "the layer is marked");
  await playground.reset.click();
  await playground.differs(false);
  assert.equal(Number(await playground.scale.inputValue()), before);
});

playgroundTest("what is no valid edit is refused at its field, and the model stays", async ({ playground }) => {
  await playground.chooseLayer();
  const before = await playground.scale.inputValue();
  const refused = async (field, text, message) => {
    await playground.type(field, text);
    await playground.editor.getByRole("alert").filter({ hasText: message }).waitFor();
    assert.equal(await field.getAttribute("aria-invalid"), "true", `${text} is marked`);
    const described = await field.getAttribute("aria-describedby");
    assert.match(await playground.page.locator(`[id="${described}"]`).innerText(), message);
  };
  for (const text of ["0", "-1", "NaN", "inf"]) await refused(playground.scale, text, /finite number greater than 0/);
  await refused(playground.scale, "abc", /is a number, not 'abc'/);
  await playground.scale.press("Escape");
  assert.equal(await playground.scale.inputValue(), before, "Escape gives the number back");
  await refused(playground.zeroPoint, "999", /outside of the codes/);
  await refused(playground.zeroPoint, "1.5", /whole number/);
  await playground.zeroPoint.press("Escape");
  await refused(playground.bits, "99", /bits/);
  await refused(playground.bits, "1", /bits/);
  await playground.bits.press("Escape");
  await playground.differs(false);
  assert.equal(await playground.scale.inputValue(), before);
  assert.equal(await playground.history.count(), 0, "nothing was edited");
});

playgroundTest("bits, sign, symmetry and channels are edited, and a row is switched off", async ({ playground }) => {
  await playground.chooseLayer();
  const check = (name) => playground.editor.getByLabel(name, { exact: true });
  await playground.type(playground.bits, "3");
  await playground.entries(1);
  await playground.differs(true);
  await playground.editor.getByText("codes -4 … 3").waitFor();
  await check("Narrow range").check();
  await playground.editor.getByText("codes -3 … 3").waitFor();
  await check("Quantized").uncheck();
  await playground.entries(3);
  assert.ok(await playground.scale.isDisabled(), "what is off has no scale to edit");
  await check("Quantized").check();
  await check("Per channel").check();
  await playground.entries(5);
  await playground.editor.getByLabel("Channel", { exact: true }).fill("2");
  await playground.editor.getByLabel("Channel", { exact: true }).press("Enter");
  const one = Number(await playground.scale.inputValue());
  assert.ok(one > 0, "a channel has one scale");
  // What is no channel is refused at the field, and the last channel stays.
  const channel = playground.field("Channel");
  for (const wrong of ["99", "-1", "abc"]) {
    await playground.type(channel, wrong);
    await playground.editor.getByRole("alert").filter({ hasText: /a channel is a whole number from 0 to \d+/ }).waitFor();
    assert.equal(await channel.getAttribute("aria-invalid"), "true", `${wrong} is marked`);
    assert.equal(Number(await playground.scale.inputValue()), one, "the last channel stays");
  }
  await channel.press("Escape");
  assert.equal(await channel.inputValue(), "2", "Escape gives the channel back");
  await playground.type(playground.scale, String(one * 2));
  await playground.entries(6);
  assert.ok(Math.abs(Number(await playground.scale.inputValue()) / one - 2) < 1e-5, "that channel's scale is twice as large");
  await playground.editor.getByRole("button", { name: "Next channel" }).click();
  assert.notEqual(Number(await playground.scale.inputValue()), one * 2, "the next channel has its own");
});

playgroundTest("the type is chosen, and bits and sign follow it", async ({ playground }) => {
  await playground.chooseLayer();
  const type = playground.field("Type");
  assert.equal(await type.inputValue(), "int8");
  await type.selectOption("int16");
  await playground.entries(1);
  await playground.editor.getByText("codes -32768 … 32767").waitFor();
  assert.equal(await playground.bits.inputValue(), "16");
  await type.selectOption("uint8");
  await playground.entries(2);
  await playground.editor.getByText("codes 0 … 255").waitFor();
  assert.equal(await playground.field("Signed").isChecked(), false);
  await type.selectOption("int4");
  await playground.entries(3);
  await playground.editor.getByText("codes -8 … 7").waitFor();
  await playground.undo.click();
  await playground.undo.click();
  await playground.undo.click();
  await playground.differs(false);
  assert.equal(await type.inputValue(), "int8");
});

playgroundTest("an activation is made symmetric and asymmetric again, and says why it has one scale", async ({ playground }) => {
  await playground.chooseLayer();
  await playground.chooseKind("activation");
  const symmetric = playground.field("Symmetric");
  let entries = 0;
  if (!(await symmetric.isChecked())) {
    await symmetric.check();
    await playground.entries(++entries);
  }
  const wide = Number(await playground.scale.inputValue());
  await symmetric.uncheck();
  await playground.entries(++entries);
  assert.equal(await symmetric.isChecked(), false, "the box stays as it was set");
  assert.notEqual(await playground.zeroPoint.inputValue(), "0");
  assert.ok(Number(await playground.scale.inputValue()) <= wide, "no step is wider than before");
  const channels = playground.field("Per channel");
  assert.ok(await channels.isDisabled());
  const why = await channels.getAttribute("aria-describedby");
  assert.match(await playground.page.locator(`[id="${why}"]`).innerText(), /One scale for all channels/);
});

playgroundTest("a symmetric bound lands where it is put, by number and by hand", async ({ page, playground }) => {
  await playground.chooseLayer();
  await playground.type(playground.bits, "2");
  await playground.entries(1);
  const least = playground.field("Least value");
  const number = async (field) => Number((await field.inputValue()).replace("−", "-"));
  await playground.type(least, "-0.25");
  await playground.entries(2);
  assert.ok(Math.abs((await number(least)) + 0.25) < 1e-4, `${await number(least)} for -0.25`);
  assert.ok(Math.abs((await number(playground.field("Largest value"))) - 0.125) < 1e-4, "two codes below 0, one above");
  await playground.type(least, "0.5");
  await playground.editor.getByRole("alert").filter({ hasText: /least value is 0 or less, not 0.5/ }).waitFor();
  await least.press("Escape");
  await playground.history.nth(1).waitFor();
  assert.equal(await playground.history.count(), 2, "nothing was edited");
  const centre = async () => {
    const box = await playground.lower.boundingBox();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  };
  const from = await centre();
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  for (let step = 1; step <= 6; step++) await page.mouse.move(from.x + 5 * step, from.y);
  await playground.entries(3);
  await page.waitForTimeout(300);
  const held = await centre();
  await page.mouse.up();
  assert.ok(Math.abs(held.x - (from.x + 30)) <= 4, `the grip is ${held.x - from.x - 30} px from the pointer`);
});

playgroundTest("one range for all channels keeps their own scales", async ({ page, playground }) => {
  await playground.chooseLayer();
  await playground.field("Per channel").check();
  await playground.entries(1);
  await playground.editor.getByText("All channels").click();
  const scales = async () => (await readTable(playground.editor.getByRole("table", { name: "Channels" }))).map((row) => Number(row.scale));
  const before = await scales();
  const largest = playground.field("Largest value");
  const most = Number(await largest.inputValue());
  await playground.type(largest, String(most * 0.8));
  await playground.entries(2);
  const after = await scales();
  assert.ok(new Set(after).size > 1, `scales ${after}`);
  for (const [place, scale] of before.entries()) {
    const expected = Math.min(scale, (most * 0.8) / 127);
    assert.ok(Math.abs(after[place] / expected - 1) < 1e-3, `channel ${place}: ${after[place]} for ${expected}`);
  }
  const csv = await download(page, () => page.getByRole("button", { name: "CSV of Channels" }).click());
  assert.equal(csv.name, "channels-street-digits-int8.csv");
  assert.match(csv.bytes.toString(), /^channel,scale,zero_point,low,high,original_scale,original_zero_point\n0,/);
  const json = await download(page, () => page.getByRole("button", { name: "JSON of Channels" }).click());
  assert.ok(json.json().length >= before.length);
});

playgroundTest("every table before and after an edit is taken home", async ({ page, playground }) => {
  await playground.chooseLayer();
  await playground.type(playground.bits, "4");
  await playground.entries(1);
  await playground.differs(true);
  await page.getByText("Values and differences").click();
  await page.getByRole("table", { name: "Values before and after" }).getByRole("row").nth(2).waitFor();
  for (const [table, header, rows] of [
    ["Logits", /^class,name,float,original,edited,edited_minus_original$/, 10],
    ["Before and after predictions", /^rank,float_class,float_probability,original_class,/, 2],
    ["Error against float", /^tensor,channel,version,values,sqnr_db,mse,cosine,max_error$/, 2],
    // All of them, not the page that is listed.
    ["Values before and after", /^index,float,original,edited,edited_minus_float,edited_minus_original$/, 100],
  ]) {
    const csv = await download(page, () => page.getByRole("button", { name: `CSV of ${table}` }).click());
    const lines = csv.bytes.toString().trim().split("\n");
    assert.match(csv.name, /street-digits-int8.*\.csv$/);
    assert.match(lines[0], header, table);
    assert.ok(lines.length > rows, `${table}: ${lines.length - 1} rows`);
    const json = await download(page, () => page.getByRole("button", { name: `JSON of ${table}` }).click());
    assert.equal(json.json().length, lines.length - 1, table);
  }
});

playgroundTest("while a handle is dragged the errors follow on the first images of a data set", async ({ page, playground }) => {
  await playground.chooseLayer();
  const scope = page.getByRole("group", { name: "Measured on" });
  await scope.getByLabel("Images", { exact: true }).fill("64");
  await scope.getByLabel("Images", { exact: true }).press("Enter");
  const card = page.getByRole("region", { name: "Error along the network" });
  await card.getByText(/^64 images/).waitFor({ timeout: 60_000 });
  const box = await playground.upper.boundingBox();
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.down();
  const part = card.getByText(/^the first .*of 64$/);
  for (let step = 1; step <= 60 && !(await part.isVisible()); step++) {
    await page.mouse.move(middle.x - 2 * step, middle.y);
    await page.waitForTimeout(60);
  }
  assert.ok(await part.isVisible(), "measured while it is dragged");
  await page.mouse.up();
  await part.waitFor({ state: "hidden", timeout: 60_000 });
  await card.getByText(/^64 images/).waitFor({ timeout: 60_000 });
  assert.equal(await card.getByText("measured before the last change").count(), 0);
}, { timeout: 180_000 });

playgroundTest("the clip handles are dragged by the mouse and moved by keys", async ({ page, playground }) => {
  await playground.chooseLayer();
  const scale = async () => Number(await playground.scale.inputValue());
  const before = await scale();
  const box = await playground.upper.boundingBox();
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.down();
  for (let step = 1; step <= 12; step++) await page.mouse.move(middle.x - 10 * step, middle.y);
  await page.mouse.up();
  await playground.entries(1);
  await playground.differs(true);
  const dragged = await scale();
  assert.ok(dragged < before * 0.9, `${dragged} after the drag, ${before} before`);
  const shares = await playground.compare.locator(".shares").first().innerText();
  assert.match(shares, /clipped\s+[1-9]/, "values are cut off");
  await playground.lower.focus();
  await page.keyboard.press("ArrowRight");
  await playground.entries(2);
  assert.ok((await scale()) < dragged, "a key moves it on");
  await playground.undo.click();
  await playground.undo.click();
  await playground.differs(false);
});

playgroundTest("the layer error is measured, sorted, and follows an edit", async ({ page, playground }) => {
  await playground.chooseLayer();
  const sqnr = async () => (await readTable(playground.layerError)).map((row) => Number(row["cumulative SQNR (dB)"].split(" ")[0]));
  await playground.layerError.getByRole("row").nth(2).waitFor({ timeout: 30_000 });
  const header = playground.layerError.getByRole("columnheader", { name: "cumulative SQNR (dB)" });
  await header.getByRole("button").click();
  assert.equal(await header.getAttribute("aria-sort"), "descending");
  const sorted = (values) => values.filter(Number.isFinite);
  const falling = sorted(await sqnr());
  assert.ok(falling.length > 10);
  assert.deepEqual(falling, falling.toSorted((a, b) => b - a));
  await header.getByRole("button").click();
  const rising = sorted(await sqnr());
  assert.deepEqual(rising, falling.toReversed());
  await playground.type(playground.bits, "3");
  await playground.entries(1);
  await playground.layerError.getByText(/^was /).first().waitFor({ timeout: 30_000 });
  const csv = await download(page, () => page.getByRole("button", { name: "CSV of Layer error" }).click());
  assert.equal(csv.name, "layer-error-street-digits-int8.csv");
  assert.match(csv.bytes.toString(), /^tensor,kind,values,local_sqnr_db/);
  const json = await download(page, () => page.getByRole("button", { name: "JSON of Layer error" }).click());
  assert.equal(json.json().length, csv.bytes.toString().trim().split("\n").length - 1);
});

playgroundTest("ledger and residuals stand beside it", async ({ page, playground }) => {
  await playground.chooseLayer();
  const ledger = page.getByRole("table", { name: "Error ledger" });
  // On a slow machine it is not measured unasked.
  await page.getByRole("button", { name: "Split the error" }).click();
  await ledger.getByRole("row").nth(2).waitFor({ timeout: 30_000 });
  const terms = ["weight rounding", "weight clipping", "activation rounding", "activation clipping", "bias", "inherited"];
  let checked = 0;
  for (const row of await readTable(ledger)) {
    const shares = terms.map((term) => Number(row[term].replace("%", "")));
    if (shares.some(Number.isNaN)) continue;
    const sum = shares.reduce((a, b) => a + b, 0);
    // Six shares, each shown to 0.1 %.
    assert.ok(Math.abs(sum - 100) <= 0.35, `${row["layer output"]}: the parts are ${sum} %`);
    checked += 1;
  }
  assert.ok(checked > 5, `${checked} layers`);
  const residuals = page.getByRole("table", { name: "Residuals" });
  await page.getByRole("button", { name: "Measure residuals" }).click();
  await residuals.getByRole("row").nth(1).waitFor({ timeout: 30_000 });
  for (const row of await readTable(residuals)) assert.ok(Number(row.ratio) >= 1, row.ratio);
});

playgroundTest("sensitivity shows what it has found, and is cancelled", async ({ page, playground }) => {
  await playground.chooseLayer();
  const scope = page.getByRole("group", { name: "Measured on" });
  await scope.getByLabel("Images", { exact: true }).fill("200");
  await scope.getByLabel("Images", { exact: true }).press("Enter");
  const table = page.getByRole("table", { name: "Sensitivity" });
  await page.getByRole("button", { name: "Measure sensitivity" }).click();
  await table.getByRole("row").nth(1).waitFor({ timeout: 60_000 });
  const bar = page.getByRole("progressbar", { name: "Rows measured" });
  const share = await bar.evaluate((bar) => bar.value / bar.max);
  assert.ok(share > 0 && share < 0.5, `${share} of 200 images at the first rows`);
  const asked = Date.now();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByText("stopped before the end").waitFor();
  const rows = (await readTable(table)).length;
  assert.ok(rows >= 1, `${rows} rows stay after ${Date.now() - asked} ms`);
}, { timeout: 180_000 });

playgroundTest("a finding's fix is applied, measured, and kept or not", async ({ page, playground }) => {
  await playground.chooseLayer();
  const findings = page.getByRole("region", { name: "Findings" });
  // A clipped range is something to find: the fix must give it back.
  await playground.type(playground.editor.getByLabel("Largest value", { exact: true }), "0.02");
  await playground.entries(1);
  await findings.getByRole("button", { name: "Look for findings" }).click();
  const fix = findings.getByRole("listitem").locator(".primary").first();
  await fix.waitFor({ timeout: 60_000 });
  const fixes = await findings.getByRole("listitem").evaluateAll((items) => items.map((item) => item.querySelectorAll("button.primary").length));
  assert.ok(fixes.every((count) => count === 1), `buttons of the findings: ${fixes}`);
  await fix.click();
  const outcome = findings.getByRole("status");
  await outcome.filter({ hasText: "before" }).waitFor({ timeout: 60_000 });
  const words = await outcome.innerText();
  assert.match(words, /kept/);
  assert.match(words, /after/);
}, { timeout: 180_000 });

playgroundTest("the edited model and its edits are taken home", async ({ page, playground }) => {
  await playground.chooseLayer();
  const before = Number(await playground.scale.inputValue());
  await playground.type(playground.scale, String(before * 3));
  await playground.entries(1);
  for (const format of ["QDQ", "QOperator"]) {
    await page.getByRole("group", { name: "ONNX format" }).getByRole("button", { name: format, exact: true }).click();
    const model = await download(page, () => page.getByRole("button", { name: "Export ONNX" }).click());
    assert.match(model.name, /\.onnx$/);
    assert.ok(model.bytes.length > 10_000, `${model.name} has ${model.bytes.length} bytes`);
  }
  const arrays = await download(page, () => page.getByRole("button", { name: "Export edited activations" }).click());
  assert.equal(arrays.name, "street-digits-int8-edited-activations.npz");
  const members = [...arrays.zip().keys()];
  assert.ok(members.length > 30 && members.every((name) => name.endsWith(".npy")), `${members.length} tensors`);
  const edits = await download(page, () => page.getByRole("button", { name: "Export edits" }).click());
  assert.match(edits.name, /\.json$/);
  assert.ok(JSON.stringify(edits.json()).length > 20);
  const overrides = await download(page, () => page.getByRole("button", { name: "Export overrides" }).click());
  assert.equal(typeof overrides.json(), "object");
  const python = await download(page, () => page.getByRole("button", { name: "Export Python" }).click());
  assert.match(python.bytes.toString(), /onnxruntime/);
  await playground.reset.click();
  await playground.differs(false);
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Import edits" }).click()]);
  await chooser.setFiles({ name: edits.name, mimeType: "application/json", buffer: edits.bytes });
  await playground.differs(true);
  assert.ok(Math.abs(Number(await playground.scale.inputValue()) / before - 3) < 1e-5);
});

playgroundTest("edits survive a reload and can be discarded", async ({ page, app, playground }) => {
  await playground.chooseLayer();
  const before = Number(await playground.scale.inputValue());
  await playground.type(playground.scale, String(before * 3));
  await playground.entries(1);
  await page.reload();
  await app.started();
  const again = await Playground.open(page, app);
  await page.getByRole("status", { name: "Restored edits" }).filter({ hasText: "1 edit of an earlier visit" }).waitFor();
  await again.chooseLayer();
  assert.ok(Math.abs(Number(await again.scale.inputValue()) / before - 3) < 1e-5);
  await again.differs(true);
  await page.getByRole("button", { name: "Discard", exact: true }).click();
  await again.differs(false);
  await page.reload();
  await app.started();
  const third = await Playground.open(page, app);
  await third.chooseLayer();
  assert.equal(Number(await third.scale.inputValue()), before, "nothing is left of it");
});

const percentile = (values, share) => values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1];

playgroundTest("200 drags keep up with the hand", async ({ t, page, playground }) => {
  await playground.chooseLayer();
  const box = await playground.upper.boundingBox();
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  // From the input event's own time stamp to the first task after the frame that shows its result.
  await page.evaluate(() => {
    globalThis.drags = [];
    globalThis.longTasks = [];
    new PerformanceObserver((list) => globalThis.longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
    let input = null;
    addEventListener("pointermove", (event) => (input ??= event.timeStamp), { capture: true });
    // The number of the edit is written when its picture is on the screen; the same time can come twice.
    const timing = document.querySelector(".editor .timing");
    new MutationObserver(() => {
      if (input === null) return;
      const pixels = performance.now() - input;
      input = null;
      setTimeout(() => {
        globalThis.drags.push({ worker: Number(timing.dataset.workerMs), pixels });
        globalThis.shown?.();
      });
    }).observe(timing, { attributes: true, attributeFilter: ["data-edit"] });
  });
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.down();
  for (let step = 0; step < 200; step++) {
    // Told, not asked again and again: asking would be work in the frames that are measured.
    const shown = page.evaluate(() => new Promise((resolve) => (globalThis.shown = resolve)));
    await page.mouse.move(middle.x - 20 - (step % 40) * 3, middle.y);
    await shown;
  }
  await page.mouse.up();
  await playground.entries(1);
  const { drags, longTasks } = await page.evaluate(() => ({ drags: globalThis.drags, longTasks: globalThis.longTasks }));
  const worker = percentile(drags.map((drag) => drag.worker), 0.95);
  const pixels = percentile(drags.map((drag) => drag.pixels), 0.95);
  t.diagnostic(`${drags.length} drags: worker p95 ${worker.toFixed(1)} ms (asked: ${WORKER_P95_MS}), input to pixels p95 ${pixels.toFixed(1)} ms (asked: ${PIXELS_P95_MS})`);
  t.diagnostic(`main-thread tasks over 50 ms: ${longTasks.length} (longest ${Math.max(0, ...longTasks).toFixed(0)} ms; asked: none)`);
  assert.ok(drags.length >= 200);
  // Reported, not asserted: what a loaded machine measures says nothing about the page.
}, { timeout: 180_000 });

for (const colorScheme of ["light", "dark"]) {
  playgroundTest(`axe finds nothing serious in the playground, ${colorScheme}`, async ({ page, playground }) => {
    await playground.chooseLayer();
    await playground.type(playground.bits, "4");
    await playground.entries(1);
    await playground.type(playground.scale, "0");
    await playground.editor.getByRole("alert").filter({ hasText: /greater than 0/ }).waitFor();
    await playground.layerError.getByRole("row").nth(2).waitFor({ timeout: 30_000 });
    await page.evaluate(axeSource);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join("; ")}`), []);
  }, { colorScheme });
}

playgroundTest("on a phone the histogram and the editor stand under each other", async ({ page, playground }) => {
  await playground.chooseLayer();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `the page is ${width} px wide`);
  const [histogram, editor] = [await playground.upper.boundingBox(), await playground.editor.boundingBox()];
  assert.ok(editor.y > histogram.y, "the editor comes after the picture");
  assert.ok(editor.width > 300, "and has the whole width");
  const before = Number(await playground.scale.inputValue());
  const touch = await page.context().newCDPSession(page);
  const point = (x) => [{ x, y: Math.round(histogram.y + histogram.height / 2) }];
  const from = Math.round(histogram.x + histogram.width / 2);
  await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: point(from) });
  for (let step = 1; step <= 6; step++) await touch.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: point(from - 10 * step) });
  await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await playground.entries(1);
  assert.ok(Number(await playground.scale.inputValue()) < before, "a finger clips too");
}, { viewport: { width: 390, height: 844 }, hasTouch: true });
