// The autopilot: a target goes in, candidates are drawn, a model comes out that does what is said of it.
import assert from "node:assert/strict";
import { browserTest, download, readTable } from "./harness.mjs";
import { settled, trySample } from "./sample.mjs";

async function openAutopilot(page, app) {
  await trySample(page, app);
  await page.getByRole("tab", { name: "Quantize" }).click();
  const region = page.getByRole("region", { name: "Autopilot", exact: true });
  const number = (name) => region.getByRole("spinbutton", { name, exact: true });
  const button = (name) => region.getByRole("button", { name, exact: true });
  const chosen = region.getByRole("status", { name: "Chosen model" });
  return { region, number, button, chosen };
}

browserTest("a target gives a model", async ({ t, page, app }) => {
  const { region, number, button, chosen } = await openAutopilot(page, app);
  assert.match(await region.getByRole("combobox", { name: "Calibration data" }).locator("option:checked").innerText(), /calib/);
  assert.match(await region.getByRole("combobox", { name: "Measurement data" }).locator("option:checked").innerText(), /test/);
  await number("Most points lost").fill("1");
  await number("Most kilobytes").fill("112");
  await number("Seed").fill("3");
  await number("Calibration images").fill("64");
  await number("Measurement images").fill("100");
  const began = Date.now();
  await button("Start autopilot").click();
  const candidates = region.getByRole("table", { name: "Candidates" });
  await candidates.getByRole("row").nth(5).waitFor({ timeout: 60_000 });
  // The page stays usable: another tab and back, and the search goes on.
  await page.getByRole("tab", { name: "Layer", exact: true }).click();
  await page.getByRole("tab", { name: "Quantize" }).click();
  await chosen.waitFor({ timeout: 170_000 });
  t.diagnostic(`a search in ${Date.now() - began} ms`);
  const words = await chosen.innerText();
  assert.match(words, /The target is met\./);
  const bytes = Number(/([0-9]+) bytes, of at most 112000/.exec(words)[1]);
  const [, right] = /which chose nothing: ([0-9]+) of 100 right/.exec(words);
  const saved = await download(page, () => button("Download chosen model").click());
  assert.equal(saved.name, "street-digits_autopilot.onnx");
  assert.equal(saved.bytes.length, bytes);
  const rows = await readTable(candidates);
  assert.ok(rows.some((row) => row.measured === `${right} of 100`), JSON.stringify(rows.slice(0, 3)));
  await button("Open chosen model").click();
  await page.getByRole("tab", { name: "Evaluate" }).click();
  const evaluate = page.getByRole("region", { name: "Evaluate", exact: true });
  await evaluate.getByText("street-digits_autopilot").first().waitFor({ timeout: 30_000 });
  await settled(page);
}, { timeout: 240_000 });

browserTest("a search is stopped, and the best so far is kept", async ({ page, app }) => {
  const { region, number, button, chosen } = await openAutopilot(page, app);
  await number("Most kilobytes").fill("112");
  await number("Calibration images").fill("200");
  await button("Start autopilot").click();
  await region.getByRole("table", { name: "Candidates" }).getByRole("row").nth(8).waitFor({ timeout: 90_000 });
  const began = Date.now();
  await button("Stop and keep the best").click();
  await chosen.filter({ hasText: "The search was stopped" }).waitFor({ timeout: 20_000 });
  assert.ok(Date.now() - began < 10_000);
  const saved = await download(page, () => button("Download chosen model").click());
  assert.ok(saved.bytes.length > 50_000);
});
