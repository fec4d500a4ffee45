// The page arrives, from a sub-path, alone.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { browserTest, engineTest } from "./harness.mjs";
import { App } from "./page.mjs";
import { readNpy, readZip } from "./npz.mjs";
import { base, noReference, reference, root, startServer } from "./server.mjs";

browserTest("the application starts under a sub-path, with no error and no request to anyone else", async ({ page, server }) => {
  assert.match(await page.title(), /Quantscope/);
  assert.ok(server.requests.every((path) => path.startsWith(base)), `outside of the sub-path: ${server.requests}`);
});

browserTest("before the application is loaded the page already has its name and says what it is doing", async ({ page, app }) => {
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/*.wasm", async (route) => (await held, route.continue()));
  await page.goto("");
  await page.getByText("Quantscope", { exact: true }).waitFor();
  assert.equal(await page.getByRole("status").textContent(), "Loading…");
  letGo();
  await app.started();
}, { path: null });

browserTest("a page that cannot load says so", async ({ page }) => {
  await page.route("**/app_bg*.wasm", (route) => route.fulfill({ status: 503 }));
  await page.goto("");
  assert.match(await page.getByRole("alert").textContent(), /could not be loaded.*503/);
}, { path: null, allow: [/503/] });

browserTest("the content security policy holds in the page and in a worker", async ({ page, problems }) => {
  const policy = await page.locator("meta[http-equiv=Content-Security-Policy]").getAttribute("content");
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /\{|script-src[^;]*'unsafe-inline'|https?:/);
  const elsewhere = "https://example.invalid/";
  const fromPage = await page.evaluate((url) => fetch(url).then(() => "sent", (error) => error.name), elsewhere);
  assert.equal(fromPage, "TypeError");
  // A worker that is started from a blob: address is under the page's policy; one that is started from a file is not.
  const fromWorker = await page.evaluate(async (url) => {
    const source = `fetch(${JSON.stringify(url)}).then(() => postMessage("sent"), (error) => postMessage(error.name))`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
    return new Promise((resolve) => (worker.onmessage = (event) => resolve(event.data)));
  }, elsewhere);
  assert.equal(fromWorker, "TypeError");
  assert.ok(problems.length > 0 && problems.every((problem) => /Content Security Policy/.test(problem)), problems.join("\n"));
  problems.length = 0;
});

/** Starts the worker as the application does, under the page's policy; null, or what went wrong. */
const startWorker = (page) =>
  page.evaluate(async () => {
    const url = new URL(document.querySelector("meta[name=worker-url]").content, document.baseURI).href;
    const source = `import ${JSON.stringify(url)}; postMessage("started");`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
    return new Promise((resolve) => {
      worker.onerror = (event) => resolve(event.message || "error");
      worker.addEventListener("message", (event) => event.data === "started" && resolve(null));
    });
  });

browserTest("the worker starts under the page's policy", async ({ page }) => {
  assert.equal(await startWorker(page), null);
});

browserTest("a stored theme is there at the first paint", async ({ page, app }) => {
  await page.addInitScript(() => localStorage.setItem("quantscope.theme", "dark"));
  await app.goto();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
}, { path: null, colorScheme: "light" });

test("every file that the page names is in dist/, with its content in its name", () => {
  const dist = join(root, "dist");
  const html = readFileSync(join(dist, "index.html"), "utf8");
  const named = [...html.matchAll(/(?:src|href|content)="\.\/([^"]+)"/g)].map(([, path]) => path);
  assert.ok(named.length > 5);
  for (const path of named) assert.ok(readFileSync(join(dist, path)).length > 0, path);
  const hashed = named.filter((path) => /\.(js|css|wasm)$/.test(path));
  for (const path of hashed) assert.match(path, /-[0-9a-f]{16}\.(js|css|wasm)$/);
});

/** A second server, whose folder and life a test can change, and a page on it; both end with the test. */
async function ownServer(t, context, dist) {
  const server = await startServer({ dist });
  const own = await context.browser().newContext({ baseURL: `${server.url}${base}` });
  t.after(async () => {
    await own.close();
    await server.close();
  });
  const page = await own.newPage();
  page.setDefaultTimeout(15_000);
  return { server, page, app: new App(page) };
}

browserTest("after one visit the page comes back without a network", async ({ t, context }) => {
  const { server, page, app } = await ownServer(t, context);
  await app.goto();
  await page.locator("html[data-offline=ready]").waitFor();
  await server.close();
  await page.reload();
  await app.started();
  assert.equal(await startWorker(page), null);
  const sample = await page.evaluate(async () => {
    const name = (await caches.keys()).find((key) => key.includes(" sample "));
    const [first] = name ? await (await caches.open(name)).keys() : [];
    return first ? (await fetch(first.url)).status : null;
  });
  assert.ok(sample === null || sample === 200, "a file of the sample, offline");
}, { path: null, offline: true });

browserTest("a reload shows a new build whole, and the old one's cache is gone", async ({ t, context }) => {
  const dist = mkdtempSync(join(tmpdir(), "quantscope-dist-"));
  t.after(() => rmSync(dist, { recursive: true }));
  cpSync(join(root, "dist"), dist, { recursive: true });
  const { server, page, app } = await ownServer(t, context, dist);
  await app.goto();
  await page.locator("html[data-offline=ready]").waitFor();

  // A build that differs in its page and in the service worker that lists it.
  const sri = (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`;
  const [html, sw] = ["index.html", "sw.js"].map((name) => readFileSync(join(dist, name), "utf8"));
  const newHtml = html.replace("<title>Quantscope", "<title>Quantscope, new");
  const newBuild = sw.replace(/APP_BUILD = "\w+"/, 'APP_BUILD = "new"');
  assert.ok(newBuild.includes(sri(html)));

  // Half deployed: the list is there, the page is still the old one. Nothing may change.
  writeFileSync(join(dist, "sw.js"), newBuild.replace(sri(html), sri(newHtml)));
  const update = () => page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration.update().catch(() => {});
    while (registration.installing) await new Promise((resolve) => setTimeout(resolve, 50));
    return registration.waiting !== null;
  });
  assert.equal(await update(), false, "a half deployed build must not be installed");
  await page.reload();
  assert.equal(await page.title(), "Quantscope");

  writeFileSync(join(dist, "index.html"), newHtml);
  assert.equal(await update(), true, "a whole build waits for the next page");
  assert.equal(await page.title(), "Quantscope");
  await page.reload();
  await page.waitForFunction(() => document.title === "Quantscope, new");
  await app.started();
  await page.waitForFunction(async () => (await caches.keys()).filter((key) => key.includes(" app ")).length === 1);
}, { path: null, offline: true });

engineTest("the engine loads as a module", async ({ engine }) => {
  assert.ok(await engine((module) => Object.keys(module).length > 1));
});

test("recorded arrays can be read", { skip: noReference }, () => {
  const { dtype, shape } = readNpy(readFileSync(join(reference, "expected/probs64/keras.npy")));
  assert.deepEqual([dtype, shape], ["<f4", [64, 10]]);
  const [first] = readZip(readFileSync(join(reference, "expected/predicted_classes_all.npz"))).values();
  assert.equal(readNpy(first).dtype, "|u1");
});
