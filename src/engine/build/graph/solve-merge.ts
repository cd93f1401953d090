import type { BuildRun, NewLayer } from "./build-run.ts";
import type { Snapshot } from "./operation.ts";

/** The layer of `upper` upon `base`: its files are shared, so that it takes neither time nor room. */
export async function solveMerge(run: BuildRun, base: Snapshot, upper: Snapshot): Promise<NewLayer> {
  const staged = await run.stageSame(upper.layer, base.layer);
  return { staged, content: await staged.finish(run.signal) };
}
