import { spawnSync } from "node:child_process";

import { serveKernelWorker } from "../kernel/net/serve-kernel-worker.ts";

/** A tool of the firewall that takes longer is stuck. */
const PROGRAM_LIMIT_MS = 10_000;

/** The program of the kernel worker thread. */
serveKernelWorker((name, args) => {
  const result = spawnSync(name, args, { encoding: "utf8", timeout: PROGRAM_LIMIT_MS });
  return result.error ? undefined : result;
});
