// Takes the README's pictures from the built page, with the sample that ships with it. Usage: make screenshots
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { serve } from "./serve.mjs";

const root = join(import.meta.dirname, "..");
const out = process.argv[2] ?? join(root, "docs");
mkdirSync(out, { recursive: true });
const server = await serve({ "/": join(root, "dist") }, 0);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });

/** Opens the page with the sample, does `act`, and takes a picture. */
async function picture(name, { act = async () => {}, ...options }) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, serviceWorkers: "block", reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  await page.goto(server.url);
  await page.getByRole("button", { name: "Try the sample" }).click();
  await page.getByRole("table", { name: "Model card street-digits-uint8" }).waitFor({ timeout: 60_000 });
  await page.getByRole("status", { name: "Engine" }).filter({ hasText: "ready" }).waitFor({ timeout: 60_000 });
  await act(page);
  await page.waitForTimeout(800);
  await page.screenshot({ path: join(out, `${name}.png`) });
  console.log(`screenshots: ${join(out, name)}.png`);
  await context.close();
}

const convolution = async (page) => page.getByRole("treeitem").filter({ hasText: "conv2d_4_1/BiasAdd" }).first().click();
const tab = (name) => async (page) => page.getByRole("tab", { name }).click();
const maps = async (page) => {
  await convolution(page);
  await page.getByRole("group", { name: "Feature maps", exact: true }).scrollIntoViewIfNeeded();
};

await picture("overview-light", { colorScheme: "light" });
await picture("layer-dark", { colorScheme: "dark", act: convolution });
await picture("activations-light", { colorScheme: "light", act: maps });
await picture("run-dark", { colorScheme: "dark", act: tab("Run") });
await picture("playground-light", { colorScheme: "light", act: async (page) => {
  await tab("Playground")(page);
  await convolution(page);
  await page.getByRole("spinbutton", { name: "Bits" }).fill("4");
  await page.keyboard.press("Enter");
  await page.getByText("1 edit").first().waitFor();
} });
await picture("evaluate-light", { colorScheme: "light", act: async (page) => {
  await tab("Evaluate")(page);
  await page.getByRole("spinbutton", { name: "Number of images" }).fill("500");
  await page.getByRole("region", { name: "Evaluate", exact: true }).getByRole("button", { name: "Evaluate", exact: true }).click();
  await page.getByRole("status", { name: "Evaluation progress" }).filter({ hasText: "500 images each" }).waitFor({ timeout: 120_000 });
} });
const quantize = async (page, name) => {
  await tab("Quantize")(page);
  const region = page.getByRole("region", { name, exact: true });
  return region;
};
const upTo = (region) => region.evaluate((section) => section.scrollIntoView({ block: "start" }));
await picture("quantize-light", { colorScheme: "light", act: async (page) => {
  const region = await quantize(page, "Quantize");
  await region.getByRole("button", { name: "Quantize", exact: true }).click();
  await page.getByRole("table", { name: "Calibration methods" }).waitFor({ timeout: 60_000 });
} });
await picture("bit-widths-light", { colorScheme: "light", act: async (page) => {
  const region = await quantize(page, "Bit widths");
  await region.getByRole("spinbutton", { name: "Images", exact: true }).fill("500");
  await region.getByRole("button", { name: "Measure bit widths" }).click();
  await region.getByText("All 81 cells").waitFor({ timeout: 300_000 });
  await upTo(region);
} });
await picture("autopilot-dark", { colorScheme: "dark", act: async (page) => {
  const region = await quantize(page, "Autopilot");
  await region.getByRole("button", { name: "Start autopilot" }).click();
  await region.getByRole("status", { name: "Chosen model" }).waitFor({ timeout: 300_000 });
  await upTo(region);
} });
await picture("convert-light", { colorScheme: "light", act: tab("Convert") });
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };
await picture("narrow-light", { ...phone, colorScheme: "light", act: tab("Run") });
await picture("narrow-dark", { ...phone, colorScheme: "dark" });
await browser.close();
await server.close();
