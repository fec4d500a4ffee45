// The one chart component: pointed at, zoomed, stepped by keys, saved, and read as a table.
import assert from "node:assert/strict";
import { browserTest, download, readTable } from "./harness.mjs";
import { chooseConvolution, settled, trySample } from "./sample.mjs";

/** The parts of the chart inside a region. */
function chartOf(region) {
  return {
    surface: region.getByRole("application"),
    tip: region.locator(".chart-tip"),
    legend: region.getByRole("group", { name: "Series" }).getByRole("button"),
    tool: (name) => region.getByRole("group", { name: "Chart tools" }).getByRole("button", { name, exact: true }),
    canvas: region.locator("canvas.chart-canvas"),
  };
}

/** What is painted, as a short string: equal pictures are equal strings. It waits until a frame has not changed it. */
async function picture(page, canvas) {
  let before;
  for (let attempt = 0; attempt < 40; attempt++) {
    const now = await canvas.evaluate(async (element) => {
      const pixels = element.getContext("2d").getImageData(0, 0, element.width, element.height).data;
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", pixels));
      return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    });
    if (now === before) return now;
    before = now;
    await page.waitForTimeout(60);
  }
  throw new Error("the picture does not come to rest");
}

async function drag(page, surface, [x1, y1], [x2, y2], { shift = false } = {}) {
  const box = await surface.boundingBox();
  if (shift) await page.keyboard.down("Shift");
  await page.mouse.move(box.x + box.width * x1, box.y + box.height * y1);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * ((x1 + x2) / 2), box.y + box.height * ((y1 + y2) / 2));
  await page.mouse.move(box.x + box.width * x2, box.y + box.height * y2);
  await page.mouse.up();
  if (shift) await page.keyboard.up("Shift");
}

async function point(page, surface, x, y) {
  const box = await surface.boundingBox();
  await page.mouse.move(box.x + box.width * x, box.y + box.height * y);
}

/** The sample with a convolution chosen, and the chart of its weights. */
async function weights(page, app) {
  await trySample(page, app);
  await chooseConvolution(app);
  await settled(page);
  return chartOf(app.weightDistribution);
}

browserTest("pointing at a bin reads its values out, and they are those of the table", async ({ page, app }) => {
  const chart = await weights(page, app);
  await point(page, chart.surface, 0.5, 0.5);
  await chart.tip.waitFor();
  const title = (await chart.tip.locator(".chart-tip-title").innerText()).trim();
  const rows = await chart.tip.locator(".chart-tip-row").evaluateAll((rows) =>
    Object.fromEntries(rows.map((row) => [row.querySelector("span").innerText.trim(), row.querySelector(".num").innerText.trim()])));
  assert.match(title, /…|to|–/, `a bin has two ends: ${title}`);
  for (const name of ["street-digits", "street-digits-int8", "street-digits-uint8"]) {
    assert.ok(rows[name] !== undefined, `${name} is read out: ${JSON.stringify(rows)}`);
  }
  // Another bin says something else, and leaving takes the words away.
  await point(page, chart.surface, 0.3, 0.5);
  await page.waitForFunction((title) => document.querySelector(".chart-tip-title")?.innerText.trim() !== title, title);
  await page.mouse.move(5, 5);
  await chart.tip.waitFor({ state: "detached" });

  // The table view holds the same numbers: 50 bins, and the bin that was read out.
  await chart.tool("Table").click();
  const table = await readTable(app.weightDistribution.getByRole("group", { name: /as a table/ }).getByRole("table"));
  assert.equal(table.length, 50);
  const count = (text) => Number(String(text).replace(/[^0-9.]/g, ""));
  const same = table.filter((row) => Object.entries(rows).every(([name, value]) => !(name in row) || count(row[name]) === count(value.split(/[ (]/)[0])));
  assert.ok(same.length > 0, `no row of the table holds ${JSON.stringify(rows)}; the first is ${JSON.stringify(table[0])}`);
  assert.equal(await chart.canvas.count(), 0);
  await chart.tool("Table").click();
  await chart.canvas.waitFor();
});

browserTest("a dragged box zooms, a double click shows everything again", async ({ page, app }) => {
  const chart = await weights(page, app);
  const whole = await picture(page, chart.canvas);
  assert.equal(await chart.tool("Reset zoom").count(), 0);
  await drag(page, chart.surface, [0.4, 0.15], [0.6, 0.7]);
  await chart.tool("Reset zoom").waitFor();
  await page.mouse.move(5, 5);
  const zoomed = await picture(page, chart.canvas);
  assert.notEqual(zoomed, whole);
  const box = await chart.surface.boundingBox();
  await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height / 2);
  await chart.tool("Reset zoom").waitFor({ state: "detached" });
  assert.equal(await picture(page, chart.canvas), whole, "everything is shown as it was");

  // Ctrl and the wheel, the keys, and the button do the same.
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -300);
  await page.keyboard.up("Control");
  await chart.tool("Reset zoom").click();
  await chart.surface.focus();
  await page.keyboard.press("+");
  await chart.tool("Reset zoom").waitFor();
  await page.keyboard.press("0");
  await chart.tool("Reset zoom").waitFor({ state: "detached" });
  assert.equal(await picture(page, chart.canvas), whole);
});

browserTest("a range that is dragged with Shift is counted", async ({ page, app }) => {
  const chart = await weights(page, app);
  const from = app.weightDistribution.getByLabel("Range from");
  const before = await from.inputValue();
  await drag(page, chart.surface, [0.45, 0.5], [0.55, 0.5], { shift: true });
  await page.waitForFunction(([label, before]) => document.querySelector(`[aria-label="${label}"]`).value !== before, ["Range from", before]);
  assert.equal(await chart.tool("Reset zoom").count(), 0, "it is no zoom");
});

browserTest("the legend hides a series and the log axis is another picture", async ({ page, app }) => {
  const chart = await weights(page, app);
  const all = await picture(page, chart.canvas);
  const int8 = chart.legend.filter({ hasText: "street-digits-int8" });
  assert.equal(await int8.getAttribute("aria-pressed"), "true");
  await int8.click();
  assert.equal(await int8.getAttribute("aria-pressed"), "false");
  assert.notEqual(await picture(page, chart.canvas), all);
  await point(page, chart.surface, 0.5, 0.5);
  await chart.tip.waitFor();
  const named = await chart.tip.locator(".chart-tip-row span:first-of-type").allInnerTexts();
  assert.ok(named.length > 0 && !named.some((name) => name.includes("int8") && !name.includes("uint8")), `hidden series are not read out: ${named}`);
  await page.mouse.move(5, 5);
  await int8.click();
  assert.equal(await picture(page, chart.canvas), all);

  await chart.tool("Log").click();
  assert.equal(await chart.tool("Log").getAttribute("aria-pressed"), "true");
  assert.notEqual(await picture(page, chart.canvas), all);
  await chart.tool("Log").click();
  assert.equal(await picture(page, chart.canvas), all);
});

browserTest("keys step through the values and say them", async ({ page, app }) => {
  const chart = await weights(page, app);
  await chart.surface.focus();
  const spoken = app.weightDistribution.locator("[aria-live=polite]");
  const press = async (key) => {
    const before = await spoken.innerText();
    await page.keyboard.press(key);
    await page.waitForFunction(([element, before]) => element.innerText !== before, [await spoken.elementHandle(), before]);
    return (await spoken.innerText()).trim();
  };
  const first = await press("Home");
  const second = await press("ArrowRight");
  const last = await press("End");
  assert.equal(new Set([first, second, last]).size, 3, `${first} | ${second} | ${last}`);
  for (const words of [first, second, last]) assert.match(words, /street-digits/);
  assert.equal(await press("Home"), first);
  await chart.tip.waitFor();
  await page.keyboard.press("Escape");
  await chart.tip.waitFor({ state: "detached" });
});

browserTest("a chart is saved as PNG, SVG and CSV under a name that says what it is", async ({ page, app }) => {
  const chart = await weights(page, app);
  const save = (name) => download(page, async () => {
    await chart.tool("Export chart").click();
    await app.weightDistribution.getByRole("button", { name }).click();
  });
  const stem = /^weight-distribution-[\w.-]*conv2d_1_2[\w.-]*-weight$/;
  const [png, svg, csv] = [await save("PNG picture"), await save("SVG drawing"), await save("CSV data")];
  for (const [file, extension] of [[png, ".png"], [svg, ".svg"], [csv, ".csv"]]) {
    assert.ok(file.name.endsWith(extension), file.name);
    assert.match(file.name.slice(0, -extension.length), stem);
  }
  assert.deepEqual([...png.bytes.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
  // Three device pixels for every CSS pixel: the figure is at least as wide as the canvas on the page.
  const cssWidth = (await chart.surface.boundingBox()).width;
  assert.ok(png.bytes.readUInt32BE(16) >= 3 * cssWidth, `${png.bytes.readUInt32BE(16)} px for ${cssWidth} CSS px`);
  const drawing = svg.bytes.toString("utf8");
  assert.match(drawing, /^<svg|^<\?xml/);
  const valid = await page.evaluate((text) => new DOMParser().parseFromString(text, "image/svg+xml").querySelector("parsererror") === null, drawing);
  assert.ok(valid, "the SVG is well-formed");
  assert.match(drawing, /street-digits-int8/);
  const lines = csv.bytes.toString("utf8").trim().split(/\r?\n/);
  assert.equal(lines.length, 51, "a head and 50 bins");
  assert.match(lines[0], /street-digits-int8/);

  // The same picture is the same file; keys save it too.
  const again = await save("SVG drawing");
  assert.equal(again.name, svg.name);
  assert.ok(again.bytes.equals(svg.bytes));
  await chart.surface.focus();
  assert.equal((await download(page, () => page.keyboard.press("Control+Shift+E"))).name, png.name);
  assert.equal((await download(page, () => page.keyboard.press("Control+Alt+e"))).name, svg.name);
});

browserTest("zoom and selection survive a re-run and a look at another tab", async ({ page, app }) => {
  const chart = await weights(page, app);
  const activations = page.getByRole("region", { name: "Activations" });
  const ran = chartOf(activations);
  await ran.canvas.first().waitFor();
  await drag(page, chart.surface, [0.4, 0.15], [0.6, 0.7]);
  await chart.tool("Reset zoom").waitFor();
  await ran.surface.scrollIntoViewIfNeeded();
  await drag(page, ran.surface, [0.1, 0.2], [0.5, 0.8]);
  await ran.tool("Reset zoom").waitFor();
  await page.mouse.move(5, 5);
  const [weightsBefore, activationsBefore] = [await picture(page, chart.canvas), await picture(page, ran.canvas.first())];
  const layer = await app.layers.getByRole("treeitem", { selected: true }).innerText();
  const address = page.url();

  // The same input again, and another tab in between.
  await app.run.click();
  await settled(page);
  const unchanged = async (when) => {
    assert.equal(page.url(), address, when);
    assert.equal(await app.layers.getByRole("treeitem", { selected: true }).innerText(), layer, when);
    assert.equal(await picture(page, chart.canvas), weightsBefore, `weights ${when}`);
    assert.equal(await picture(page, ran.canvas.first()), activationsBefore, `activations ${when}`);
    assert.equal(await ran.tool("Reset zoom").count(), 1, when);
  };
  await unchanged("after a re-run");
  await page.getByRole("tab", { name: "Run" }).click();
  await app.predictions.waitFor();
  await page.getByRole("tab", { name: "Layer" }).click();
  await chart.canvas.waitFor();
  await settled(page);
  await unchanged("after another tab");

  // Another input: other data, the same zoom.
  await page.getByRole("tab", { name: "Run" }).click();
  await page.getByRole("button", { name: "Next item" }).click();
  await app.run.click();
  await page.getByRole("tab", { name: "Layer" }).click();
  await chart.canvas.waitFor();
  await settled(page);
  assert.equal(await ran.tool("Reset zoom").count(), 1, "after another input");
  assert.notEqual(await picture(page, ran.canvas.first()), activationsBefore, "the activations are those of the other input");

  // Another layer has other values: everything of them is shown.
  await app.layers.getByRole("treeitem").filter({ hasText: "conv2d_4_1/BiasAdd" }).first().click();
  await settled(page);
  assert.equal(await chart.tool("Reset zoom").count(), 0);
});

browserTest("a click on a row of the weight ranges opens its layer; the zoom there is kept", async ({ page, app }) => {
  await trySample(page, app);
  await settled(page);
  const chart = chartOf(app.weightRanges);
  await drag(page, chart.surface, [0.5, 0.3], [0.7, 0.3]);
  await chart.tool("Reset zoom").waitFor();
  await page.mouse.move(5, 5);
  const box = await chart.surface.boundingBox();
  await page.mouse.click(box.x + box.width * 0.5, box.y + 60);
  await app.weightDistribution.waitFor();
  await page.getByRole("tab", { name: "Overview" }).click();
  await chart.tool("Reset zoom").waitFor();
  assert.match(page.url(), /layer=/);
});

browserTest("a double click on zoomed weight ranges shows everything again and opens no layer", async ({ page, app }) => {
  await trySample(page, app);
  await settled(page);
  const chart = chartOf(app.weightRanges);
  await drag(page, chart.surface, [0.5, 0.2], [0.8, 0.25]);
  await chart.tool("Reset zoom").waitFor();
  const box = await chart.surface.boundingBox();
  await page.mouse.dblclick(box.x + box.width * 0.6, box.y + box.height * 0.4);
  await chart.tool("Reset zoom").waitFor({ state: "detached" });
  // Longer than a click waits for a second one.
  await page.waitForTimeout(500);
  assert.equal(await page.getByRole("tab", { selected: true }).innerText(), "Overview");
  // A single click on a zoomed chart still chooses its row.
  await drag(page, chart.surface, [0.5, 0.2], [0.8, 0.25]);
  await chart.tool("Reset zoom").waitFor();
  await page.mouse.click(box.x + box.width * 0.6, box.y + box.height * 0.4);
  await page.getByRole("tab", { name: "Layer", selected: true }).waitFor();
});

browserTest("a read-out is whole, and beside the row that it reads", async ({ page, app }) => {
  await trySample(page, app);
  await settled(page);
  const chart = chartOf(app.weightRanges);
  for (const y of [0.15, 0.5, 0.97]) {
    await point(page, chart.surface, 0.5, y);
    await chart.tip.waitFor();
    const { tip, mark, cut } = await app.weightRanges.evaluate((region) => {
      const rect = (element) => element.getBoundingClientRect().toJSON();
      const tip = region.querySelector(".chart-tip");
      // What is on top in the middle of each edge: the read-out itself, or else something cuts it. It takes no pointer.
      tip.style.pointerEvents = "auto";
      const { left, right, top, bottom } = tip.getBoundingClientRect();
      const spots = [[left + right, 2 * top + 4], [left + right, 2 * bottom - 4]].map(([x, y]) => document.elementFromPoint(x / 2, y / 2));
      tip.style.pointerEvents = "";
      return { tip: rect(tip), mark: rect(region.querySelector(".chart-read")), cut: spots.some((spot) => !spot || !tip.contains(spot)) };
    });
    assert.ok(!cut, `${y}: the read-out is cut: ${JSON.stringify(tip)}`);
    assert.ok(tip.bottom <= mark.top + 1 || tip.top >= mark.bottom - 1, `${y}: it covers its row: ${JSON.stringify({ tip, mark })}`);
  }
});

browserTest("the table stays when another tab was looked at, and a file says nothing of the page's gestures", async ({ page, app }) => {
  const chart = await weights(page, app);
  await chart.tool("Export chart").click();
  const svg = await download(page, () => app.weightDistribution.getByRole("button", { name: "SVG drawing" }).click());
  assert.doesNotMatch(svg.bytes.toString("utf8"), /drag/);
  await chart.tool("Table").click();
  await page.getByRole("tab", { name: "Overview" }).click();
  await app.weightRanges.locator("canvas").first().waitFor();
  await page.getByRole("tab", { name: "Layer" }).click();
  await app.weightDistribution.getByRole("group", { name: /as a table/ }).waitFor();
  assert.equal(await chart.tool("Table").getAttribute("aria-pressed"), "true");
});
