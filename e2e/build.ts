import { run } from "../src/testing/run.ts";

/** Runs once before all e2e tests: they use the bundles. */
export async function setup(): Promise<void> {
  const built = await run([process.execPath, "tools/build.mjs"]);
  if (built.code !== 0) throw new Error(`the build failed:\n${built.stderr}${built.stdout}`);
}
