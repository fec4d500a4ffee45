// The browser's offer to keep the page as an application.
import assert from "node:assert/strict";
import { browserTest } from "./harness.mjs";

/** Lets the browser make its offer, with an answer that the test has chosen; says whether the page kept it for itself. */
const offer = (page, outcome) =>
  page.evaluate((outcome) => {
    globalThis.prompts ??= 0;
    const event = new Event("beforeinstallprompt", { cancelable: true });
    event.prompt = async () => {
      globalThis.prompts += 1;
      return { outcome };
    };
    return !dispatchEvent(event);
  }, outcome);

browserTest("Install is there while the browser offers it", async ({ page }) => {
  const install = page.getByRole("banner").getByRole("button", { name: "Install", exact: true });
  assert.equal(await install.count(), 0, "nothing is offered yet");
  assert.ok(await offer(page, "dismissed"), "the browser's own bar does not show");
  await install.click();
  await install.waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => globalThis.prompts), 1);
  // After a no the browser may ask again later; after a yes nothing is left to offer.
  await offer(page, "accepted");
  await install.click();
  await install.waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => globalThis.prompts), 2);
  await offer(page, "accepted");
  await install.waitFor();
  await page.evaluate(() => dispatchEvent(new Event("appinstalled")));
  await install.waitFor({ state: "detached" });
});

browserTest("an offer that comes before the application is loaded is kept", async ({ page, app }) => {
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/app_bg*.wasm", async (route) => (await held, route.continue()));
  await page.goto("");
  await page.waitForLoadState("load");
  assert.ok(await offer(page, "accepted"), "web/boot.js takes it");
  letGo();
  await app.started();
  await page.getByRole("button", { name: "Install", exact: true }).click();
  assert.equal(await page.evaluate(() => globalThis.prompts), 1);
}, { path: null });

browserTest("what a browser asks of an application that can be installed is there", async ({ page }) => {
  const { url, manifest } = await page.evaluate(async () => {
    const { href } = document.querySelector("link[rel=manifest]");
    return { url: href, manifest: await (await fetch(href)).json() };
  });
  assert.ok(manifest.name && manifest.start_url && manifest.display === "standalone", JSON.stringify(manifest));
  assert.ok(new URL(manifest.start_url, url).href.startsWith(new URL("./", url).href), "inside of the sub-path");
  for (const size of ["192x192", "512x512"]) {
    const icon = manifest.icons.find((icon) => icon.sizes === size);
    const [width, height] = await page.evaluate(async (source) => {
      const picture = new Image();
      picture.src = source;
      await picture.decode();
      return [picture.naturalWidth, picture.naturalHeight];
    }, new URL(icon.src, url).href);
    assert.equal(`${width}x${height}`, size);
  }
});
