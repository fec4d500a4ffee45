// Loads and starts the application, then prepares the next visit without a network.
// scripts/post-build.mjs replaces the names and constants of the next lines.
import init from "./app.js";
const WASM = "./app_bg.wasm";
const WASM_BYTES = 0;
const OFFLINE = false;

// The browser may offer to install the page before the application is there (src/platform/install.rs).
addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  globalThis.quantscopeInstallOffer = event;
}, { once: true });

const status = document.getElementById("boot-status");
const progress = document.getElementById("boot-progress");

/** The response, its bytes counted as they pass (their number is known; a Content-Length may be that of the compressed ones). */
function counted(response) {
  let bytes = 0;
  const count = new TransformStream({
    transform(chunk, out) {
      bytes += chunk.byteLength;
      if (WASM_BYTES) progress.value = bytes / WASM_BYTES;
      out.enqueue(chunk);
    },
  });
  // Some static servers do not know the type, and without it the browser would not compile while it loads.
  return new Response(response.body.pipeThrough(count), { headers: { "Content-Type": "application/wasm" } });
}

function explain(error) {
  console.error(error);
  progress.remove();
  status.setAttribute("role", "alert");
  status.textContent =
    error instanceof WebAssembly.CompileError
      ? "Quantscope needs WebAssembly with SIMD, which this browser does not have. Any Chrome, Edge or Firefox since 2021 and any Safari since 16.4 has it."
      : `Quantscope could not be loaded: ${error.message ?? error}. Reloading the page may help.`;
}

async function start() {
  const response = await fetch(new URL(WASM, import.meta.url), { credentials: "same-origin" });
  if (!response.ok) throw new Error(`the server answered ${response.status} for ${WASM}`);
  await init({ module_or_path: counted(response) });
  document.getElementById("boot").remove();
}

/** Tells the page (`<html data-offline="ready">`, event `quantscope-offline-ready`) when all of it is there without a network. */
async function prepareOffline() {
  const workers = navigator.serviceWorker;
  workers.addEventListener("message", (event) => {
    if (event.data !== "offline-ready") return;
    document.documentElement.dataset.offline = "ready";
    dispatchEvent(new CustomEvent("quantscope-offline-ready"));
  });
  await workers.register(new URL("./sw.js", import.meta.url));
  const { active } = await workers.ready;
  // The sample is part of what must work offline, but not of what the first visit waits for.
  const idle = globalThis.requestIdleCallback ?? ((run) => setTimeout(run, 2000));
  if (!navigator.connection?.saveData) idle(() => active.postMessage("keep-sample"));
}

try {
  await start();
  if (OFFLINE && "serviceWorker" in navigator) prepareOffline().catch((error) => console.info("Not available offline:", error));
} catch (error) {
  explain(error);
}
