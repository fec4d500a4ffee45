// The page by keyboard alone: where the focus goes, whether it is seen, and that it always gets on.
import assert from "node:assert/strict";
import { browserTest } from "./harness.mjs";
import { chooseConvolution, settled, trySample } from "./sample.mjs";

/** More stops than any view has: a walk that is longer is a trap. */
const MOST_STOPS = 400;

/** What has the focus now: who it is, where it is, and whether anybody can see that it has it. */
const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const place = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    // A field inside a frame that is drawn as the field may leave the ring to the frame.
    const ringed = [element, element.parentElement].some((candidate) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(candidate);
      return outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
    });
    globalThis.stops ??= new Map();
    if (!stops.has(element)) stops.set(element, stops.size);
    const regions = ["header.top", "nav.layers", "main.stage", "aside.inspector", "footer.status"];
    return {
      number: stops.get(element),
      name: (element.getAttribute("aria-label") || element.innerText || element.id || element.tagName).trim().split("\n")[0].slice(0, 60),
      tag: element.tagName.toLowerCase(),
      region: regions.findIndex((selector) => element.closest(selector)),
      left: place.left,
      top: place.top,
      right: place.right,
      bottom: place.bottom,
      ringed,
      shown: style.visibility === "visible" && place.width > 0 && place.height > 0,
      inSight: place.bottom > 0 && place.top < innerHeight && place.right > 0 && place.left < innerWidth,
    };
  });

/** Takes the focus away, so that `key` begins at the start (Tab) or the end (Shift+Tab) of the page. */
const toStart = (page, key) =>
  page.evaluate((key) => {
    globalThis.stops = new Map();
    // The browser walks on from where the focus was last: an element at the end that is gone again.
    const end = document.createElement("span");
    end.tabIndex = -1;
    document.body[key === "Tab" ? "prepend" : "append"](end);
    end.focus();
    end.remove();
  }, key);

/** Presses Tab (or Shift+Tab) from the start of the page until the focus leaves it or comes back to the first stop. */
async function walk(page, key = "Tab") {
  await toStart(page, key);
  const visited = [];
  for (let count = 0; count < MOST_STOPS; count++) {
    await page.keyboard.press(key);
    const stop = await focused(page);
    if (stop === null || (visited.length > 0 && stop.number === visited[0].number)) return visited;
    assert.ok(!visited.some((earlier) => earlier.number === stop.number), `${key} comes back to ${stop.name} before it has left the page`);
    visited.push(stop);
  }
  assert.fail(`${key} does not leave the page within ${MOST_STOPS} stops`);
}

/** Every stop can be seen, and each comes after the one before it: to its right, or below it. */
function assertOrder(visited, where) {
  for (const stop of visited) {
    assert.ok(stop.shown, `${where}: ${stop.name} has the focus and is not there to be seen`);
    assert.ok(stop.inSight, `${where}: ${stop.name} has the focus outside of what is in sight`);
    assert.ok(stop.ringed, `${where}: nothing shows that ${stop.name} has the focus`);
  }
  const inPage = visited.filter((stop) => stop.region >= 0);
  for (const [at, stop] of inPage.entries()) {
    const before = inPage[at - 1];
    if (!before) continue;
    const words = `${where}: ${stop.name} after ${before.name}`;
    assert.ok(stop.region >= before.region, `${words}: header, layers, content, inspector, status in this order`);
    // Scrolled parts move between two stops; inside one region without scrolling the order can be measured.
    if (stop.region === before.region && stop.region !== 2 && stop.region !== 3) {
      const sameLine = stop.top < before.bottom && before.top < stop.bottom;
      assert.ok(sameLine ? stop.left >= before.left : stop.top >= before.top, `${words}: against the visual order`);
    }
  }
}

/** The order of the stops inside the content in its own coordinates, which do not move when it scrolls. */
async function assertContentOrder(page, where) {
  const wrong = await page.evaluate(() => {
    const view = document.querySelector(".view");
    const origin = () => view.getBoundingClientRect().top - view.scrollTop;
    const selector = "a[href], button, input, select, textarea, summary, [tabindex]";
    const stops = [...view.querySelectorAll(selector)].filter((element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility({ visibilityProperty: true }));
    const place = (element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return { left, right, top: top - origin(), bottom: bottom - origin() };
    };
    const out = [];
    for (let at = 1; at < stops.length; at++) {
      const [one, two] = [stops[at - 1], stops[at]];
      // Two columns are read one after the other: the next card may begin higher, to the right.
      const [before, here] = [place(one), place(two)];
      if (one.closest(".card") !== two.closest(".card") && here.left >= before.right) continue;
      // A frame that scrolls stands before what it holds.
      if (one.contains(two)) continue;
      const sameLine = here.top < before.bottom && before.top < here.bottom;
      if (sameLine ? here.left < before.left : here.top < before.top) out.push(`${two.outerHTML.slice(0, 90)} after ${one.outerHTML.slice(0, 90)}`);
    }
    return out;
  });
  assert.deepEqual(wrong, [], `${where}: against the visual order`);
}

browserTest("Tab walks every view in the order it is read, always seen, never caught", async ({ t, page, app }) => {
  const look = async (where) => {
    await settled(page);
    const forward = await walk(page);
    assert.equal(forward[0].name, "Skip to the content", `${where}: the first stop`);
    assertOrder(forward, where);
    await assertContentOrder(page, where);
    const back = await walk(page, "Shift+Tab");
    assert.deepEqual(back.map((stop) => stop.name).reverse(), forward.map((stop) => stop.name), `${where}: backwards is the same way`);
    t.diagnostic(`${where}: ${forward.length} stops`);
    return forward.map((stop) => stop.name);
  };
  const empty = await look("empty page");
  assert.ok(empty.includes("Open files") && empty.includes("Try the sample"), empty.join(", "));
  await trySample(page, app);
  const overview = await look("overview");
  assert.ok(overview.includes("Run") && overview.includes("Find a layer"), overview.join(", "));
  await chooseConvolution(app);
  await look("layer");
  await page.getByRole("tab", { name: "Run" }).click();
  await app.predictions.waitFor();
  await look("run");
  await page.getByRole("tab", { name: "Graph" }).click();
  await page.getByRole("button", { name: /^Conv / }).first().waitFor();
  const graph = await look("graph");
  assert.ok(graph.includes("Zoom in") && graph.includes("Network of street-digits"), graph.join(", "));
  assert.equal(graph.filter((name) => name === "Conv conv2d_1_2/BiasAdd").length, 1, "the selected box alone is a stop");
}, { timeout: 300_000 });

browserTest("the skip link goes to the content", async ({ page, app }) => {
  await trySample(page, app);
  await settled(page);
  await toStart(page, "Tab");
  await page.keyboard.press("Tab");
  const link = page.getByRole("link", { name: "Skip to the content" });
  assert.ok(await link.evaluate((element) => element === document.activeElement));
  assert.ok((await link.boundingBox()).y >= 0, "it is seen while it has the focus");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "stage");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("main") !== null));
});

browserTest("a dialog keeps the focus inside and gives it back", async ({ page, app }) => {
  await trySample(page, app);
  await settled(page);
  const dialog = page.getByRole("dialog");
  const inside = () => page.evaluate(() => document.activeElement?.closest("dialog") !== null || document.activeElement === document.body);
  const rowHasFocus = () => page.evaluate(() => document.activeElement?.getAttribute("role") === "treeitem");
  await app.layers.getByRole("treeitem").first().focus();
  await page.keyboard.press("?");
  await dialog.waitFor();
  for (let count = 0; count < 4; count++) {
    await page.keyboard.press("Tab");
    assert.ok(await inside(), "what lies behind a dialog cannot be reached");
  }
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.ok(await rowHasFocus(), "Escape goes back to where the user was");
  const button = page.getByRole("button", { name: "Keyboard shortcuts" });
  await button.focus();
  await page.keyboard.press("Enter");
  await dialog.waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await dialog.waitFor({ state: "hidden" });
  assert.ok(await button.evaluate((element) => element === document.activeElement), "Close goes back too");
});

browserTest("the tree can always be reached: by its selected row, else by its first", async ({ page, app }) => {
  await trySample(page, app);
  await chooseConvolution(app);
  await settled(page);
  const stops = () => app.layers.locator("[role=treeitem][tabindex='0']");
  assert.equal(await stops().count(), 1);
  assert.equal(await stops().getAttribute("aria-selected"), "true");
  // The filter takes the selected row away; another one is there for the Tab key.
  await page.keyboard.press("Control+f");
  await page.keyboard.type("conv2d_3");
  await settled(page);
  assert.equal(await app.layers.getByRole("treeitem", { selected: true }).count(), 0);
  assert.equal(await stops().count(), 1);
});

browserTest("the focus is on what a key has chosen: a row, a tab, and a pane's button when Escape closes it", async ({ page, app }) => {
  await trySample(page, app);
  await settled(page);
  const chosen = async (role) => {
    await page.waitForFunction((role) => document.activeElement.matches(`[role=${role}][aria-selected=true]`), role);
    return page.evaluate(() => document.activeElement.innerText);
  };
  await app.layers.getByRole("treeitem").first().focus();
  const visited = new Set();
  for (const key of ["ArrowDown", "ArrowDown", "End", "Home"]) {
    const before = await page.evaluate(() => document.activeElement.innerText);
    await page.keyboard.press(key);
    await page.waitForFunction((before) => document.activeElement.innerText !== before, before);
    visited.add(await chosen("treeitem"));
  }
  assert.ok(visited.size >= 3, [...visited].join(" | "));
  await page.getByRole("tab", { selected: true }).focus();
  for (const name of ["Run", "Playground", "Quantize", "Evaluate", "Convert", "Graph", "Overview", "Layer"]) {
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction((name) => document.activeElement.innerText === name, name);
    assert.equal(await chosen("tab"), name);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  const button = page.getByRole("button", { name: "Inspector", exact: true });
  await button.click();
  await page.getByRole("complementary", { name: "Inspector" }).waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement.innerText === "Inspector");
});
