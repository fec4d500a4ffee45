// The bit-width grid: it fills, reads out, goes home as a file, and can be stopped.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browserTest, download, readTable } from "./harness.mjs";
import { readNpy } from "./npz.mjs";
import { settled, trySample } from "./sample.mjs";
import { root } from "./server.mjs";

const IMAGES = 24;
const CELLS = 81;

async function openGrid(page, app) {
  await trySample(page, app);
  await page.getByRole("tab", { name: "Quantize" }).click();
  const region = page.getByRole("region", { name: "Bit widths", exact: true });
  await region.getByRole("spinbutton", { name: "Images", exact: true }).fill(String(IMAGES));
  return region;
}

const measured = (region) => region.getByRole("status", { name: "Bit widths so far" });

browserTest("a grid is measured and goes home", async ({ t, page, app }) => {
  const region = await openGrid(page, app);
  assert.match(await region.getByRole("combobox", { name: "Data set" }).evaluate((select) => select.selectedOptions[0].text), /test/);
  await region.getByRole("combobox", { name: "Weights" }).selectOption("per channel");
  await region.getByRole("combobox", { name: "Ranges" }).selectOption("calibrated");
  assert.match(await region.getByRole("combobox", { name: "Calibration data" }).evaluate((select) => select.selectedOptions[0].text), /calibration/);
  await region.getByRole("spinbutton", { name: "Calibration images" }).fill("16");
  const began = Date.now();
  await region.getByRole("button", { name: "Measure bit widths" }).click();
  await measured(region).filter({ hasText: `All ${CELLS} cells` }).waitFor({ timeout: 150_000 });
  t.diagnostic(`${CELLS} cells of ${IMAGES} images in ${((Date.now() - began) / 1000).toFixed(1)} s: ${await measured(region).innerText()}`);

  const saved = await download(page, () => region.getByRole("button", { name: "Save JSON" }).click());
  const report = saved.json();
  assert.equal(report.weights, "per channel");
  assert.equal(report.cells.length, CELLS);
  assert.ok(report.cells.every(({ total, correct }) => total === IMAGES && correct <= total));
  const at = (weights, activations) => report.cells.find((cell) => cell.weight_bits === weights && cell.activation_bits === activations).correct;
  // The float cell is the float model: as right as ONNX Runtime's recorded predictions on these images.
  const { data } = readNpy(readFileSync(join(root, "tests/fixtures/sample/predicted-float.npy")));
  t.diagnostic(`float ${at(null, null)}, 16 bits ${at(16, 16)}, 4 bits ${at(4, 4)}, 2 bits ${at(2, 2)}`);
  assert.equal(data.length, 2000);
  assert.ok(Math.abs(at(16, 16) - at(null, null)) <= 1 && at(null, null) >= IMAGES - 3);
  assert.ok(at(2, 2) < at(8, 8));

  // Keys read the cells out, and the table has them all.
  const chart = region.getByRole("application", { name: /accuracy.*weights.*activations.*81 cells/ });
  await chart.focus();
  await page.keyboard.press("End");
  await region.getByText(/weights 2, activations float/).first().waitFor();
  await region.getByRole("button", { name: "Table" }).click();
  const rows = await readTable(region.getByRole("table"));
  assert.equal(rows.length, CELLS);
  assert.deepEqual([rows[0]["weights (bits)"], rows[0]["activations (bits)"]], ["float", "2"]);
  assert.equal(rows.at(-1).images, String(IMAGES));
  await region.getByRole("button", { name: "Export chart" }).click();
  const csv = await download(page, () => region.getByRole("button", { name: "CSV data" }).click());
  const lines = csv.bytes.toString("utf8").trim().split("\n");
  assert.equal(lines.length, CELLS + 1);
  assert.match(lines[0], /^weights \(bits\),activations \(bits\),/);
  await settled(page);
}, { timeout: 240_000 });

browserTest("dynamic cells, and a stop that keeps what there is", async ({ page, app }) => {
  const region = await openGrid(page, app);
  await region.getByRole("spinbutton", { name: "Images", exact: true }).fill("2000");
  await region.getByRole("combobox", { name: "Ranges" }).selectOption("dynamic");
  assert.equal(await region.getByRole("combobox", { name: "Calibration data" }).count(), 0);
  await region.getByRole("button", { name: "Measure bit widths" }).click();
  await measured(region).filter({ hasText: /^[1-9][0-9]* of 81 cells/ }).waitFor({ timeout: 120_000 });
  const began = Date.now();
  await page.getByRole("button", { name: "Cancel" }).click();
  await measured(region).filter({ hasText: /^Stopped at [1-9]/ }).waitFor({ timeout: 5_000 });
  assert.ok(Date.now() - began < 2_000, `${Date.now() - began} ms`);
  assert.ok(await region.locator("canvas").count());
}, { timeout: 240_000 });

browserTest("a number that is typed stays when the next field is gone to", async ({ page, app }) => {
  const region = await openGrid(page, app);
  await region.getByRole("combobox", { name: "Ranges" }).selectOption("calibrated");
  const [images, calibration] = ["Images", "Calibration images"].map((name) => region.getByRole("spinbutton", { name, exact: true }));
  await images.fill("30");
  await calibration.fill("20");
  await images.focus();
  assert.deepEqual([await images.inputValue(), await calibration.inputValue()], ["30", "20"]);
});
