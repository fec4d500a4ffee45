// The worker's first script: keeps what the page says until the worker listens, then says it again.
// scripts/post-build.mjs replaces the names of the next two lines.
import init from "./worker.js";
const WASM = "./worker_bg.wasm";

const early = [];
let moduleArrived;
const posted = new Promise((resolve) => (moduleArrived = resolve));

function keep(event) {
  event.stopImmediatePropagation();
  if (event.data instanceof WebAssembly.Module) moduleArrived(event.data);
  else early.push(event);
}
self.addEventListener("message", keep);

try {
  // "#module" means: the page compiles once for several workers and posts the module.
  const wasm = new URL(import.meta.url).hash === "#module" ? await posted : new URL(WASM, import.meta.url);
  await init({ module_or_path: wasm });
  self.removeEventListener("message", keep);
  for (const { data, ports } of early) self.dispatchEvent(new MessageEvent("message", { data, ports: [...ports] }));
} catch (error) {
  // A rejected promise would die here in silence; a thrown error reaches the page's `worker.onerror`.
  setTimeout(() => {
    throw error;
  });
}
