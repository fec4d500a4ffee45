// A phone: 390 x 844, fingers only.
import assert from "node:assert/strict";
import { browserTest, readTable } from "./harness.mjs";
import { settled } from "./sample.mjs";

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

/** Smallest side of a target that a finger hits (WCAG 2.5.8 asks for 24 CSS pixels). */
const SMALLEST_TARGET_PX = 24;

/** What a finger could miss or could not reach. */
const troubles = (page) =>
  page.evaluate((smallest) => {
    const found = [];
    const width = document.documentElement.scrollWidth;
    if (width > innerWidth) found.push(`the page is ${width} px wide, the screen ${innerWidth}`);
    const view = document.querySelector(".view");
    if (view.scrollWidth > view.clientWidth) found.push(`the view is ${view.scrollWidth} px wide, its room ${view.clientWidth}`);
    for (const element of document.querySelectorAll("button, select, [role=tab], [role=treeitem], summary, input")) {
      const style = getComputedStyle(element);
      const { width, height } = element.getBoundingClientRect();
      if (element.hidden || style.visibility !== "visible" || width === 0 || height === 0) continue;
      const label = element.closest("label")?.getBoundingClientRect();
      if (Math.max(height, label?.height ?? 0) < smallest || Math.max(width, label?.width ?? 0) < smallest) {
        found.push(`${(element.getAttribute("aria-label") ?? element.innerText ?? element.id).trim()}: ${width.toFixed(0)} x ${height.toFixed(0)} px`);
      }
    }
    return found;
  }, SMALLEST_TARGET_PX);

browserTest("the first minute works by touch", async ({ page, app }) => {
  const layers = page.getByRole("button", { name: "Layers", exact: true });
  const tree = page.getByRole("navigation", { name: "Layers panel" });
  assert.deepEqual(await troubles(page), [], "empty page");
  await page.getByRole("button", { name: "Try the sample" }).tap();
  await page.getByRole("table", { name: "Model card street-digits-uint8" }).waitFor({ timeout: 60_000 });
  await settled(page);
  assert.deepEqual(await troubles(page), [], "overview");

  // The layers come and go as a drawer.
  assert.equal(await tree.isVisible(), false);
  await layers.tap();
  await tree.waitFor();
  assert.equal(await layers.getAttribute("aria-expanded"), "true");
  await page.waitForFunction(() => document.querySelector("nav.layers").getBoundingClientRect().left === 0);
  assert.deepEqual(await troubles(page), [], "drawer");
  await page.touchscreen.tap(385, 500);
  await tree.waitFor({ state: "hidden" });
  await layers.tap();
  await app.layers.getByRole("treeitem").filter({ hasText: "conv2d_1_2/BiasAdd" }).first().tap();
  await tree.waitFor({ state: "hidden" });
  await app.weightDistribution.locator("canvas").first().waitFor();
  await settled(page);
  assert.match(page.url(), /layer=/);
  assert.deepEqual(await troubles(page), [], "layer");
  // The header leaves the screen to the chart, which is seen without scrolling.
  const [header, canvas] = await page.evaluate(() => ["header.top", "canvas.chart-canvas"].map((selector) => document.querySelector(selector).getBoundingClientRect()));
  assert.ok(header.height < 110, `the header is ${header.height} px high`);
  assert.ok(canvas.bottom <= 844, `the first chart ends at ${canvas.bottom} px`);
  await page.getByRole("button", { name: "More" }).tap();
  await app.exportReport.waitFor();
  assert.deepEqual(await troubles(page), [], "more");
  await page.getByRole("button", { name: "More" }).tap();
  await app.exportReport.waitFor({ state: "hidden" });

  // A tap on a chart reads a value out.
  const surface = app.weightDistribution.getByRole("application");
  await surface.scrollIntoViewIfNeeded();
  const box = await surface.boundingBox();
  await page.touchscreen.tap(box.x + box.width / 2, box.y + box.height / 2);
  await app.weightDistribution.locator(".chart-tip").waitFor();

  // Another image, and a run.
  await page.getByRole("tab", { name: "Run" }).tap();
  await app.predictions.waitFor();
  await page.getByRole("button", { name: "Next item" }).tap();
  const results = page.getByRole("region", { name: "Results" });
  const before = await results.innerText();
  await app.run.tap();
  await page.waitForFunction(([element, before]) => element.innerText !== before, [await results.elementHandle(), before]);
  assert.equal((await readTable(app.predictions)).length, 11);
  assert.deepEqual(await troubles(page), [], "run");

  // The inspector is the other drawer.
  await page.getByRole("button", { name: "Inspector", exact: true }).tap();
  await app.quantizationParameters.waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("complementary", { name: "Inspector" }).waitFor({ state: "hidden" });
}, phone);

browserTest("every view fits a phone", async ({ page, app }) => {
  await page.getByRole("button", { name: "Try the sample" }).tap();
  await page.getByRole("table", { name: "Model card street-digits-uint8" }).waitFor({ timeout: 60_000 });
  for (const name of ["Playground", "Quantize", "Evaluate", "Convert"]) {
    await page.getByRole("tab", { name }).tap();
    if (name === "Playground") await page.getByRole("region", { name: "Findings" }).getByRole("listitem").first().waitFor();
    await settled(page);
    assert.deepEqual(await troubles(page), [], name);
  }
  // The search in the drawer is a line, not a column.
  await page.getByRole("tab", { name: "Overview" }).tap();
  await page.getByRole("button", { name: "Layers", exact: true }).tap();
  await app.layers.waitFor();
  assert.ok((await page.locator(".layers > .search").boundingBox()).height < 60);
}, phone);
