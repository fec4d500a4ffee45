// `make test`: runs every check in turn, goes on after a failure, and closes with one line of counts.
// Usage: test.mjs [STEP...], to run only some of the steps named below.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const wasm = "--target wasm32-unknown-unknown";
const exists = (path) => existsSync(new URL(`../${path}`, import.meta.url));
const wasmTargets = ["--lib --bins", exists("tests/web/main.rs") && "--test web", exists("examples/engine_check.rs") && "--example engine_check"]
  .filter(Boolean)
  .join(" ");
const e2e = readdirSync(new URL("../tests/e2e", import.meta.url))
  .filter((name) => name.endsWith(".test.mjs"))
  .map((name) => `tests/e2e/${name}`)
  .join(" ");

const tools = process.env.QUANTSCOPE_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "quantscope/tools");
/** Variables that name the Pythons which tests ask, as far as install-tools.sh has made them. */
const pythons = (names) =>
  Object.fromEntries(
    Object.entries(names)
      .map(([variable, folder]) => [variable, join(tools, folder, "bin/python")])
      .filter(([, python]) => existsSync(python)),
  );

// `needs`: a step that has to pass first, because without it this one would only repeat its failure. `rare`: only
// where it is asked for by its name.
const steps = [
  { name: "format", run: "cargo fmt --all --check" },
  { name: "lint", run: "cargo clippy --locked --all-targets --features cli -- -D warnings" },
  { name: "lint-wasm", run: `cargo clippy --locked --release ${wasm} ${wasmTargets} -- -D warnings` },
  { name: "native", run: "cargo test --locked --features cli --no-fail-fast", env: pythons({ QUANTSCOPE_PYTHON: "onnxruntime" }) },
  {
    name: "peers",
    run: "cargo test --locked --features cli --test export --test convert",
    env: pythons({ QUANTSCOPE_PYTHON: "onnxruntime", QUANTSCOPE_PYTORCH: "torch", QUANTSCOPE_KERAS: "keras" }),
    rare: true,
  },
  { name: "build", run: "make --no-print-directory build build-engine-check" },
  {
    name: "web",
    run: `cargo test --locked --release ${wasm} --test web`,
    skip: !exists("tests/web/main.rs") && "there is no tests/web/main.rs",
  },
  { name: "browser", run: `node --test --test-force-exit --test-concurrency=1 --test-reporter=spec ${e2e}`, needs: "build" },
];

/** Passed, failed and skipped tests, from the closing lines of cargo test, wasm-bindgen-test-runner and node's runner. */
function count(output) {
  const text = output.replace(/\x1b\[[0-9;]*m/g, "");
  const sum = (pattern) => [...text.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0);
  return {
    passed: sum(/^test result: .*?(\d+) passed/gm) + sum(/^ℹ pass (\d+)/gm),
    failed: sum(/^test result: .*?(\d+) failed/gm) + sum(/^ℹ fail (\d+)/gm),
    skipped: sum(/^test result: .*?(\d+) ignored/gm) + sum(/^ℹ skipped (\d+)/gm),
  };
}

const LIMIT_MS = 40 * 60_000;
let current;
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    if (current) process.kill(-current.pid);
    process.exit(1);
  });
}

function run(command, more) {
  return new Promise((resolve) => {
    // A process group of its own, so that the limit ends all of it. wasm-bindgen's runner gives a page 20 s unless told.
    const env = { WASM_BINDGEN_TEST_TIMEOUT: "300", ...more, ...process.env };
    const child = spawn(command, { shell: true, stdio: ["ignore", "pipe", "pipe"], detached: true, env });
    current = child;
    const limit = setTimeout(() => {
      console.error(`\nstopped after ${LIMIT_MS / 60_000} minutes: ${command}`);
      process.kill(-child.pid);
    }, LIMIT_MS);
    let output = "";
    const tee = (to) => (chunk) => ((output += chunk), to.write(chunk));
    child.stdout.on("data", tee(process.stdout));
    child.stderr.on("data", tee(process.stderr));
    child.on("close", (code) => {
      clearTimeout(limit);
      current = undefined;
      resolve({ code, output });
    });
  });
}

const wanted = process.argv.slice(2);
const results = new Map();
const total = { passed: 0, failed: 0, skipped: 0 };
for (const { name, run: command, env, skip, needs, rare } of steps) {
  if (wanted.length ? !wanted.includes(name) : rare) continue;
  const reason = skip || (needs && results.get(needs)?.failed && `${needs} failed`);
  if (reason) {
    console.log(`\n== ${name}: skipped, ${reason}`);
    results.set(name, { line: `skipped, ${reason}` });
    continue;
  }
  console.log(`\n== ${name}: ${command}`);
  const start = Date.now();
  const { code, output } = await run(command, env);
  const counts = count(output);
  // A lint that fails is one failure; so is a test run that dies without counting any.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  for (const key in total) total[key] += counts[key];
  const seconds = Math.round((Date.now() - start) / 1000);
  const tests = counts.passed || counts.failed || counts.skipped ? `, ${counts.passed} passed, ${counts.failed} failed` : "";
  results.set(name, { failed: code !== 0, line: `${code === 0 ? "ok" : "FAILED"}, ${seconds} s${tests}` });
}

console.log("");
for (const [name, { line }] of results) console.log(`${name.padEnd(10)} ${line}`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
// A run of no test at all is a broken runner, not a success.
process.exitCode = total.failed > 0 || (total.passed === 0 && wanted.length === 0) ? 1 : 0;
