// The page as a test sees it: by role and accessible name, which is also how a screen reader finds its way.
import { resolve } from "node:path";

export class App {
  constructor(page) {
    this.page = page;
    const role = (name, accessibleName) => page.getByRole(name, { name: accessibleName, exact: true });
    this.openFiles = role("button", "Open files");
    this.layers = role("tree", "Layers");
    this.quantizationParameters = role("table", "Quantization parameters");
    this.weightDistribution = role("region", "Weight distribution");
    this.weightRanges = role("region", "Weight ranges");
    this.run = role("button", "Run");
    this.cancel = role("button", "Cancel");
    this.predictions = role("table", "Predictions");
    this.exportActivations = role("button", "Export activations");
    this.exportReport = role("button", "Export report");
  }

  /** Opens the page and waits until the application has replaced the loading screen. */
  async goto(path = "") {
    await this.page.goto(path);
    await this.started();
  }

  async started() {
    await this.page.locator("#boot").waitFor({ state: "detached" });
  }

  /** One item of the layer tree. */
  layer(name) {
    return this.layers.getByRole("treeitem", { name });
  }

  /** Chooses files through the "Open files" button, as the file dialog would. */
  async open(paths) {
    const [chooser] = await Promise.all([this.page.waitForEvent("filechooser"), this.openFiles.click()]);
    await chooser.setFiles(paths);
  }

  /** Drags files or folders from the disk over the page and drops them: the browser's own events, File objects and entries. */
  async drop(paths, target = this.page.locator("body")) {
    const box = await target.boundingBox();
    const point = { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
    const data = { items: [], files: [paths].flat().map((path) => resolve(path)), dragOperationsMask: 1 };
    const session = await this.page.context().newCDPSession(this.page);
    for (const type of ["dragEnter", "dragOver", "drop"]) await session.send("Input.dispatchDragEvent", { type, ...point, data });
    await session.detach();
  }
}
