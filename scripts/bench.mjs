// `make bench`: the engine beside a peer that runs the same file, both measured in the same run. Natively criterion measures
// it beside tract's own plan; in the browser, as WebAssembly on one thread, beside onnxruntime-web. Figures of a machine mean
// little elsewhere, their ratios more. Nothing is asserted.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "./serve.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const models = ["street-digits", "street-digits-int8"];
/** Rounds in the browser: in each the three take turns, so that a machine that slows down does so for all. */
const ROUNDS = 15;
const RUNS = 20;

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Prints a row per competitor: milliseconds per image, and how many times the peer's. */
function print(title, peer, times) {
  console.log(`\n${title}, ms for one image (how many times ${peer}'s)`);
  for (const [name, list] of Object.entries(times)) {
    const ratios = times[peer] && list.map((time, at) => time / times[peer][at]);
    const ratio = ratios ? `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})` : `no ${peer}`;
    console.log(`  ${name.padEnd(26)} ${median(list).toFixed(3).padStart(8)}   ${ratio}`);
  }
}

function native() {
  execFileSync("cargo", ["bench", "--locked", "--bench", "inference", "--", "--quiet"], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  const folder = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "criterion");
  for (const model of models) {
    const times = {};
    for (const bench of readdirSync(join(folder, model))) {
      const file = join(folder, model, bench, "new/estimates.json");
      if (existsSync(file)) {
        const { median } = JSON.parse(readFileSync(file));
        const { confidence_interval: interval, point_estimate: point } = median;
        times[bench.replaceAll("_", " ")] = [point, interval.lower_bound, interval.upper_bound].map((ns) => ns / 1e6);
      }
    }
    print(`native, ${model}`, "tract", times);
  }
}

/** Runs inside the page. */
async function race({ model, rounds, runs }) {
  const engine = await import("/engine-check/engine_check.js");
  await engine.default();
  const ort = await import("/ort/ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/ort/";
  const file = new Uint8Array(await (await fetch(`/sample/${model}.onnx`)).arrayBuffer());
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  const record = Uint8Array.from({ length: 3073 }, (_, at) => (at * 37) % 256);
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", Float32Array.from({ length: 3072 }, (_, at) => (at * 37) % 256), [1, 32, 32, 3]) };
  const middle = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
  const peer = async () => {
    const times = [];
    for (let run = 0; run < runs; run++) {
      const start = performance.now();
      await session.run(feeds);
      times.push(performance.now() - start);
    }
    return middle(times);
  };
  const times = { "quantscope, outputs only": [], "quantscope, every value": [], "onnxruntime-web": [] };
  for (let round = -1; round < rounds; round++) {
    const found = [middle(Array.from(engine.bench(file, record, runs, "simulate", false))), middle(Array.from(engine.bench(file, record, runs, "simulate", true))), await peer()];
    // The first round warms up.
    if (round >= 0) Object.values(times).forEach((list, at) => list.push(found[at]));
  }
  return times;
}

async function browser() {
  const ort = join(root, "tools/bench/node_modules/onnxruntime-web/dist");
  const server = await serve({ "/engine-check/": join(root, "target/engine-check"), "/ort/": ort, "/sample/": join(root, "public/sample"), "/": join(root, "tests/e2e/blank") }, 0);
  const chrome = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await chrome.newPage();
    await page.goto(`${server.url}/`);
    for (const model of models) print(`browser, ${model}`, "onnxruntime-web", await page.evaluate(race, { model, rounds: ROUNDS, runs: RUNS }));
  } finally {
    await chrome.close();
    await server.close();
  }
}

native();
await browser();
