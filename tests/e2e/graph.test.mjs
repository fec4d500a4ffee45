// The network as a drawing: linked with the tree and the address, walked by keys, coloured, searched, taken home.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deepModel } from "./deep.mjs";
import { browserTest, download, readTable } from "./harness.mjs";
import { settled, trySample } from "./sample.mjs";

const CONV = "conv2d_1_2/BiasAdd";

/** Opens the tab and waits for its boxes. */
async function openGraph(page) {
  await page.getByRole("tab", { name: "Graph", exact: true }).click();
  const region = page.getByRole("region", { name: "Graph", exact: true });
  await region.getByRole("button", { name: /^Conv / }).first().waitFor();
  await settled(page);
  return region;
}

const node = (region, name) => region.getByRole("button", { name, exact: true });

/** Magnification and place of the drawing. */
const camera = (region) => region.locator("svg > g").getAttribute("transform");

/** Whether a box lies inside of the frame. */
async function inFrame(region, box) {
  const [frame, own] = [await region.getByRole("application").boundingBox(), await box.boundingBox()];
  return own.x >= frame.x - 1 && own.y >= frame.y - 1 && own.x + own.width <= frame.x + frame.width + 1 && own.y + own.height <= frame.y + frame.height + 1;
}

browserTest("the network is drawn, and a box is the layer of the tree, of the inspector and of the address", async ({ page, app }) => {
  await trySample(page, app);
  const region = await openGraph(page);
  assert.match(page.url(), /view=graph/);
  await region.getByText("41 boxes").waitFor();
  assert.equal(await region.getByRole("button", { name: /^Conv / }).count(), 9);
  assert.equal(await region.getByRole("button", { name: /QuantizeLinear/ }).count(), 0);
  assert.equal(await region.getByLabel("Model", { exact: true }).evaluate((select) => select.selectedOptions[0].text), "street-digits");

  // At first the drawing begins at its top; as a whole every box is in sight.
  await region.getByRole("button", { name: "Fit" }).click();
  await settled(page);
  await node(region, `Conv ${CONV}`).click();
  assert.match(decodeURIComponent(page.url()), new RegExp(`view=graph&layer=${CONV}`));
  assert.equal(await node(region, `Conv ${CONV}`).getAttribute("aria-pressed"), "true");
  await app.layers.getByRole("treeitem", { selected: true }).filter({ hasText: "conv2d_1_2" }).waitFor();
  await app.quantizationParameters.waitFor();

  // From the tree to the box: marked, and in sight.
  await app.layers.getByRole("treeitem").filter({ hasText: "conv2d_7_1" }).first().click();
  const last = region.getByRole("button", { name: /^Conv conv2d_7_1/ });
  await page.waitForFunction((box) => box.getAttribute("aria-pressed") === "true", await last.elementHandle());
  await settled(page);
  assert.ok(await inFrame(region, last));
  // And from the address: after a reload nothing is open; opened again, its layer is selected.
  await page.reload();
  await app.started();
  await trySample(page, app);
  await openGraph(page);
  assert.equal(await last.getAttribute("aria-pressed"), "true");
  assert.ok(await inFrame(region, last));
});

browserTest("quantizing nodes are part of their layer until they are asked for", async ({ page, app }) => {
  await trySample(page, app);
  const region = await openGraph(page);
  await region.getByLabel("Model", { exact: true }).selectOption({ label: "street-digits-int8" });
  await settled(page);
  assert.equal(await region.getByRole("button", { name: /QuantizeLinear/ }).count(), 0);
  assert.match(await node(region, `Conv ${CONV}`).getAttribute("aria-description"), /^quantized, \S+ × 16 × 32 × 32/);
  await region.getByRole("checkbox", { name: "Show QuantizeLinear nodes" }).check();
  await region.getByText("132 boxes").waitFor();
  await settled(page);
  assert.equal(await region.getByRole("button", { name: /^QuantizeLinear / }).count(), 32);
  assert.equal(await region.getByRole("button", { name: /^DequantizeLinear / }).count(), 66);
  // One of them stands for the layer that it belongs to.
  await region.getByRole("button", { name: /^DequantizeLinear .*conv2d_1_2\/BiasAdd/ }).first().press("Enter");
  await app.layers.getByRole("treeitem", { selected: true }).waitFor();
});

browserTest("boxes are walked by keys, the drawing is moved and magnified", async ({ page, app }) => {
  await trySample(page, app);
  const region = await openGraph(page);
  const frame = region.getByRole("application", { name: "Network of street-digits" });
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  const press = async (key) => {
    const before = await focused();
    await page.keyboard.press(key);
    await page.waitForFunction((before) => document.activeElement.getAttribute("aria-label") !== before, before);
    return focused();
  };
  assert.equal(await region.locator(".net-box[tabindex='0']").count(), 1);
  await frame.focus();
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Input input");
  assert.match(await press("ArrowDown"), /^Transpose /);
  const first = await press("ArrowDown");
  assert.match(first, /^Conv /);
  assert.match(await press("ArrowDown"), /^Mul /);
  assert.equal(await press("ArrowUp"), first);
  assert.match(await press("End"), /^Output /);
  assert.ok(await inFrame(region, region.locator(":focus")), "the focus is in sight");
  await press("Home");
  await press("ArrowDown");
  await press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await node(region, first).getAttribute("aria-pressed"), "true");

  const changes = async (act, what) => {
    const before = await camera(region);
    await act();
    await page.waitForFunction((before) => document.querySelector(".net > g").getAttribute("transform") !== before, before, { timeout: 5000 }).catch(() => assert.fail(`${what} changes nothing`));
  };
  const scale = async () => Number(/scale\(([\d.]+)\)/.exec(await camera(region))[1]);
  const before = await scale();
  await changes(() => region.getByRole("button", { name: "Zoom in" }).click(), "Zoom in");
  assert.ok((await scale()) > before);
  await changes(() => region.getByRole("button", { name: "Zoom out" }).click(), "Zoom out");
  await changes(() => region.getByRole("button", { name: "Fit" }).click(), "Fit");
  const whole = await scale();
  await frame.focus();
  for (const key of ["+", "ArrowDown", "ArrowLeft", "-"]) await changes(() => page.keyboard.press(key), key);
  await page.keyboard.press("0");
  await settled(page);
  assert.equal(await scale(), whole);

  const box = await frame.boundingBox();
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await changes(() => page.mouse.move(middle.x, middle.y).then(() => page.mouse.wheel(0, -300)), "the wheel");
  const url = page.url();
  await changes(async () => {
    await page.mouse.move(middle.x, middle.y);
    await page.mouse.down();
    await page.mouse.move(middle.x + 60, middle.y + 40, { steps: 5 });
    await page.mouse.up();
  }, "a drag");
  assert.equal(page.url(), url, "a drag selects nothing");
  // It is found again as it was left.
  const left = await camera(region);
  await page.getByRole("tab", { name: "Run" }).click();
  await page.getByRole("tab", { name: "Graph" }).click();
  await node(region, first).waitFor();
  await settled(page);
  assert.equal(await camera(region), left);
});

browserTest("boxes are coloured by a measure, and what is looked for stays bright", async ({ page, app }) => {
  await trySample(page, app);
  const region = await openGraph(page);
  const by = region.getByLabel("Colour by", { exact: true });
  await by.selectOption("weight range");
  await region.getByRole("img", { name: /^weight range: from / }).waitFor();
  await by.selectOption("cumulative SQNR");
  const measure = region.getByRole("button", { name: "Measure layer error" });
  await measure.click();
  const legend = region.getByRole("img", { name: /^cumulative SQNR, dB, higher is better: from .* dB to .* dB/ });
  await legend.waitFor({ timeout: 60_000 });
  await region.getByRole("status", { name: "Measure" }).filter({ hasText: "street-digits-int8 on 1 image" }).waitFor();
  const figures = (await region.locator(".net-text .figure").allTextContents()).filter((text) => text !== "");
  assert.equal(figures.length, await region.locator(".net-box.shaded").count());
  assert.ok(figures.length >= 20 && figures.every((figure) => /^(exact|[\d.,]+ dB)$/.test(figure)), figures.join(", "));
  const strong = /to ([\d.]+) dB/.exec(await legend.getAttribute("aria-label"))[1];
  const least = Math.min(...figures.filter((figure) => figure !== "exact").map(parseFloat));
  assert.equal(Number(strong), least, "the strongest colour is the lowest SQNR");
  for (const name of ["local SQNR", "weight error"]) {
    await by.selectOption(name);
    await region.getByRole("img", { name: new RegExp(`^${name}, `) }).waitFor();
  }
  await by.selectOption("none");
  await region.locator(".net-legend").waitFor({ state: "detached" });

  await page.keyboard.press("Control+f");
  await page.keyboard.type("conv2d_3");
  await settled(page);
  const dimmed = (name) => region.getByRole("button", { name }).first().evaluate((box) => box.classList.contains("dimmed"));
  assert.equal(await dimmed(/^Conv conv2d_3/), false);
  assert.equal(await dimmed(/^Conv conv2d_7/), true);
  await region.getByText(/ found · /).waitFor();
});

browserTest("the drawing is taken home and read as a table", async ({ page, app }) => {
  await trySample(page, app);
  const region = await openGraph(page);
  const svg = await download(page, () => region.getByRole("button", { name: "Export SVG" }).click());
  assert.equal(svg.name, "street-digits-graph.svg");
  const text = svg.bytes.toString("utf8");
  assert.ok(text.startsWith("<svg ") && text.includes(CONV) && text.trimEnd().endsWith("</svg>"));
  const again = await download(page, () => page.keyboard.press("Control+Alt+e"));
  assert.ok(again.bytes.equals(svg.bytes), "the same network gives the same file");
  const png = await download(page, () => region.getByRole("button", { name: "Export PNG" }).click());
  assert.equal(png.name, "street-digits-graph.png");
  assert.equal(png.bytes.subarray(1, 4).toString("latin1"), "PNG");

  await region.getByText("As a table").click();
  const table = region.getByRole("table", { name: "Nodes" });
  await table.waitFor();
  await settled(page);
  const rows = await readTable(table);
  assert.equal(rows.length, 41);
  const row = rows.find((row) => row.node === CONV);
  assert.equal(row.operator, "Conv");
  assert.match(row.shape, /^1 × |^N|^unk/);
  assert.ok(row.inputs.split(", ").length >= 2 && row.outputs.length > 0, JSON.stringify(row));
  await table.getByRole("button", { name: CONV }).click();
  assert.equal(await node(region, `Conv ${CONV}`).getAttribute("aria-pressed"), "true");
});

browserTest("of two thousand boxes those in sight are drawn, and every one is reached", async ({ page, app, t }) => {
  const folder = mkdtempSync(join(tmpdir(), "quantscope-graph-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "deep.onnx");
  writeFileSync(file, deepModel(2000));
  await app.open([file]);
  await page.getByRole("table", { name: "Model card deep" }).waitFor();
  await page.getByRole("tab", { name: "Graph" }).click();
  const region = page.getByRole("region", { name: "Graph", exact: true });
  await region.getByText("2,002 boxes").waitFor();
  await settled(page);
  const boxes = region.locator(".net-box");
  const drawn = await boxes.count();
  assert.ok(drawn >= 5 && drawn <= 400, `${drawn} boxes are drawn`);
  await boxes.first().focus();
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.activeElement.getAttribute("aria-label") === "Output v2000");
  assert.ok(await inFrame(region, region.locator(":focus")));
  await region.getByRole("button", { name: "Fit" }).click();
  await settled(page);
  assert.ok((await boxes.count()) <= 400, "from far away there are outlines");
  assert.ok((await region.locator(".net-outlines").count()) >= 1);
  await page.keyboard.press("Control+f");
  await page.keyboard.type("step_1500");
  await app.layers.getByRole("treeitem").first().click();
  await node(region, "Abs step_1500").waitFor();
  assert.equal(await node(region, "Abs step_1500").getAttribute("aria-pressed"), "true");
}, { timeout: 180_000 });

browserTest("a phone: a tap chooses a box, a finger moves the drawing", async ({ page, app }) => {
  await page.getByRole("button", { name: "Try the sample" }).tap();
  await page.getByRole("table", { name: "Model card street-digits-uint8" }).waitFor({ timeout: 60_000 });
  await page.getByRole("tab", { name: "Graph" }).tap();
  const region = page.getByRole("region", { name: "Graph", exact: true });
  const box = region.getByRole("button", { name: /^Conv / }).first();
  await box.waitFor();
  await settled(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is as wide as the screen");
  const frame = await region.getByRole("application").boundingBox();
  assert.ok(frame.height <= 844 * 0.65, "beside the drawing there is room to scroll the page");
  await box.tap();
  assert.equal(await box.getAttribute("aria-pressed"), "true");
  const before = await camera(region);
  const session = await page.context().newCDPSession(page);
  const touch = (type, ...points) => session.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const [x, y] = [frame.x + frame.width / 2, frame.y + frame.height / 2];
  await touch("touchStart", [x, y]);
  for (let step = 1; step <= 5; step++) await touch("touchMove", [x, y - 16 * step]);
  await touch("touchEnd");
  await settled(page);
  const moved = await camera(region);
  assert.notEqual(moved, before, "a finger moves it");
  await touch("touchStart", [x - 40, y], [x + 40, y]);
  for (let step = 1; step <= 5; step++) await touch("touchMove", [x - 40 - 10 * step, y], [x + 40 + 10 * step, y]);
  await touch("touchEnd");
  await settled(page);
  const scale = (transform) => Number(/scale\(([\d.]+)\)/.exec(transform)[1]);
  assert.ok(scale(await camera(region)) > 1.5 * scale(moved), "two fingers magnify it");
}, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
