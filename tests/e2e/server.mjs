// dist/ as any static host serves it, under a sub-path; the engine module and the reference files beside it.
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { serve } from "../../scripts/serve.mjs";

export const root = dirname(dirname(import.meta.dirname));
export const reference = resolve(process.env.QUANTSCOPE_REFERENCE ?? join(root, "../shared/reference"));
export const engineCheck = join(root, "target/engine-check");

/** The sub-path: two levels, so that an address that starts at the origin or at the first level is found out. */
export const base = "/some/sub/path/";

export const noReference = existsSync(reference) ? false : `no reference data at ${reference} (QUANTSCOPE_REFERENCE)`;
export const noEngineCheck = existsSync(join(engineCheck, "engine_check.js")) ? false : "no engine module (make build-engine-check)";

export function startServer({ dist = join(root, "dist"), port = 0 } = {}) {
  return serve({ [base]: dist, "/engine-check/": engineCheck, "/reference/": reference, "/blank/": join(import.meta.dirname, "blank") }, port);
}
