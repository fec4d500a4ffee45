// A browser test: the built page under a sub-path in Debian's Chromium. It fails by itself on any error in the console, any
// uncaught error in the page or a worker, any failed request and any request to another origin.
//
//   browserTest("what it shows", async ({ page, app }) => { await app.open(files); ... });
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { chromium } from "playwright-core";
import { readZip } from "./npz.mjs";
import { App } from "./page.mjs";
import { base, noEngineCheck, root, startServer } from "./server.mjs";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let started;
/** The server and the browser of this test file, started by the first test that needs them. */
function start() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  assert.ok(existsSync(executablePath), `no browser at ${executablePath}: set CHROMIUM, or run make test`);
  started ??= Promise.all([startServer(), chromium.launch({ executablePath, headless: true, args: flags })]);
  return started;
}
after(async () => {
  if (!started) return;
  const [server, browser] = await started;
  await browser.close();
  await server.close();
});

/** Collects what must not happen in a context; `problems` is empty at the end of a good test. */
function guard(context, origin, allow) {
  const problems = [];
  const note = (text) => allow.some((pattern) => pattern.test(text)) || problems.push(text);
  context.on("console", (message) => message.type() === "error" && note(`console: ${message.text()} (${message.location().url})`));
  context.on("weberror", (error) => note(`uncaught: ${error.error().stack ?? error.error()}`));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (!["data:", "blob:"].includes(url.protocol) && url.origin !== origin) note(`request to another origin: ${url}`);
  });
  context.on("requestfailed", (request) => {
    // A page that is left ends its requests.
    const { errorText } = request.failure();
    if (errorText !== "net::ERR_ABORTED") note(`failed request: ${request.url()} ${errorText}`);
  });
  context.on("response", (response) => response.status() >= 400 && note(`${response.status()} for ${response.url()}`));
  return problems;
}

/**
 * A test with a fresh browser context. Options: `skip` (false or the reason), `allow` (patterns of problems that the test
 * provokes), `offline` (true: with a service worker; off elsewhere, so that no test sees another build's cache),
 * `path` (where the page starts; null: the test navigates), `timeout` in ms, and any option of Playwright's newContext
 * (viewport, colorScheme, ...).
 */
export function browserTest(name, body, { skip = false, allow = [], offline = false, path = "", timeout = 120_000, ...options } = {}) {
  test(name, { skip, timeout }, async (t) => {
    const [server, browser] = await start();
    const context = await browser.newContext({
      baseURL: `${server.url}${base}`,
      serviceWorkers: offline ? "allow" : "block",
      viewport: { width: 1440, height: 900 },
      acceptDownloads: true,
      ...options,
    });
    context.setDefaultTimeout(15_000);
    const problems = guard(context, server.url, allow);
    const page = await context.newPage();
    try {
      const app = new App(page);
      if (path !== null) await app.goto(path);
      await body({ t, page, app, context, server, problems });
      assert.deepEqual(problems, [], "the page had errors");
    } catch (error) {
      const folder = join(root, "test-results");
      mkdirSync(folder, { recursive: true });
      const file = join(folder, `${name.replace(/\W+/g, "-").slice(0, 80)}.png`);
      await page.screenshot({ path: file }).then(() => t.diagnostic(`screenshot: ${file}`), () => {});
      for (const problem of problems) t.diagnostic(problem);
      throw error;
    } finally {
      await context.close();
    }
  });
}

/**
 * A test of the engine as a module, in a blank page of the same origin: `engine(fn, arg)` evaluates `fn(module, arg)` there,
 * and `fetch("/reference/...")` reaches the reference files.
 */
export function engineTest(name, body, { skip = false, ...options } = {}) {
  const withEngine = async ({ page, server, ...rest }) => {
    await page.goto(`${server.url}/blank/`);
    const handle = await page.evaluateHandle(async () => {
      const module = await import("/engine-check/engine_check.js");
      await module.default();
      return module;
    });
    const engine = (fn, arg) =>
      page.evaluate(([module, source, value]) => (0, eval)(`(${source})`)(module, value), [handle, String(fn), arg]);
    await body({ page, server, engine, ...rest });
  };
  browserTest(name, withEngine, { skip: skip || noEngineCheck, path: null, timeout: 600_000, ...options });
}

/** Does `act`, waits for the download that follows, and gives its name and bytes, and what they hold when they are JSON or a zip. */
export async function download(page, act) {
  const [file] = await Promise.all([page.waitForEvent("download"), act()]);
  const bytes = await readFile(await file.path());
  const name = file.suggestedFilename();
  return {
    name,
    bytes,
    json: () => JSON.parse(bytes.toString("utf8")),
    /** Member name -> bytes; for .npz read the members with readNpy. */
    zip: () => readZip(bytes),
  };
}

/** A table or grid as an array of { column header: cell text }. Rows that a virtualised table has not made are not in it. */
export async function readTable(table) {
  return table.evaluate((element) => {
    const text = (cell) => cell.innerText.trim().replace(/\s+/g, " ");
    const rows = [...element.querySelectorAll("tr, [role=row]")];
    const cells = (row) => [...row.querySelectorAll("td, th, [role=cell], [role=gridcell], [role=columnheader], [role=rowheader]")];
    const isHeader = (row) => cells(row).length > 0 && cells(row).every((cell) => cell.matches("thead th, [role=columnheader]"));
    const headers = cells(rows.find(isHeader) ?? rows[0]).map(text);
    return rows
      .filter((row) => !isHeader(row))
      .map((row) => Object.fromEntries(cells(row).map((cell, i) => [headers[i] ?? String(i), text(cell)])));
  });
}
