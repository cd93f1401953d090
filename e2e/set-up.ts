import { ensureCrunCanRun, readCgroupLayout } from "../src/kernel/cgroup-layout.ts";
import { run } from "../src/testing/run.ts";

/** Runs once before all e2e tests: they use the bundles, and those without a daemon use crun on the host as a daemon would leave it. */
export async function setup(): Promise<void> {
  const built = await run([process.execPath, "tools/build.mjs"]);
  if (built.code !== 0) throw new Error(`the build failed:\n${built.stderr}${built.stdout}`);
  await ensureCrunCanRun(readCgroupLayout());
}
