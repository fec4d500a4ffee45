// The sample, opened as a visitor does it.

/** Opens the sample with one click and waits for its run and the weight ranges. */
export async function trySample(page, app) {
  await page.getByRole("button", { name: "Try the sample" }).click();
  await page.getByRole("table", { name: "Model card street-digits-uint8" }).waitFor({ timeout: 60_000 });
  await app.weightRanges.locator("canvas").first().waitFor();
  await page.getByRole("status", { name: "Engine" }).filter({ hasText: "ready" }).waitFor({ timeout: 60_000 });
}

/** Chooses a layer of the sample by the name in its row. */
export async function chooseConvolution(app, name = "conv2d_1_2/BiasAdd") {
  await app.layers.getByRole("treeitem").filter({ hasText: name }).first().click();
  await app.weightDistribution.locator("canvas").first().waitFor();
}

/** Waits until nothing on the page has changed for a while and the worker is idle. */
export async function settled(page, quietMs = 250) {
  await page.getByRole("status", { name: "Engine" }).filter({ hasText: "ready" }).waitFor({ timeout: 60_000 });
  await page.evaluate((quietMs) => new Promise((resolve) => {
    let timer = setTimeout(done, quietMs);
    const observer = new MutationObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(done, quietMs);
    });
    function done() {
      observer.disconnect();
      resolve();
    }
    observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  }), quietMs);
}
