import type { FinishedLayer } from "../../../store/layers.ts";
import { chainIdsOf } from "../../images/image-store.ts";
import type { BuildRun } from "./build-run.ts";
import { type Snapshot, storedSnapshot, type Vertex } from "./operation.ts";
import { solveExec } from "./solve-exec.ts";
import { solveFile } from "./solve-file.ts";
import { solveMerge } from "./solve-merge.ts";
import type { NewLayer } from "./build-run.ts";

/** A vertex that is carried out. */
export interface Solved extends Snapshot {
  /** The layer that was made for it, which is not in the store yet; undefined where it was there. */
  made: FinishedLayer | undefined;
  /** What the layer is to be found by once it is committed. */
  keys: string[];
}

export interface SolveOptions {
  /** Carry it out in any case; what it comes to is remembered all the same. */
  ignoreResults: boolean;
}

/**
 * Carries out vertices: each once in a build, its inputs first and side by side, at most MAX_RUNNING_STEPS at a time. What an equal vertex
 * came to before is taken: by the definition key without looking at the inputs, else by the content key.
 */
export class Solver {
  readonly #run: BuildRun;
  readonly #solved = new Map<Vertex, Promise<Solved>>();

  constructor(run: BuildRun) {
    this.#run = run;
  }

  solve(vertex: Vertex, options: SolveOptions = { ignoreResults: false }): Promise<Solved> {
    const known = this.#solved.get(vertex);
    if (known !== undefined) return known;
    const solving = this.#solve(vertex, options);
    this.#solved.set(vertex, solving);
    return solving;
  }

  async #solve(vertex: Vertex, options: SolveOptions): Promise<Solved> {
    const { operation, definitionKey } = vertex;
    if (operation.kind === "source") return { ...operation.snapshot, made: undefined, keys: [] };
    const { results, layers } = this.#run.engine;
    const stored = (key: string): Solved | undefined => {
      const chainId = options.ignoreResults ? undefined : results.find(key);
      return chainId === undefined ? undefined : { ...storedSnapshot(layers, chainId), made: undefined, keys: [] };
    };
    const byDefinition = stored(definitionKey);
    if (byDefinition !== undefined && (await this.#fits(vertex, byDefinition))) return byDefinition;

    const inputs = new Map<Vertex, Solved>();
    const upper = operation.kind === "merge" ? operation.upper : undefined;
    const known = upper && !options.ignoreResults ? this.#layerOf(upper) : undefined;
    if (upper !== undefined && known !== undefined) inputs.set(upper, known);
    const unsolved = vertex.inputs.filter((input) => !inputs.has(input));
    await Promise.all(unsolved.map(async (input) => inputs.set(input, await this.solve(input, options))));
    const snapshotOf = (input: Vertex): Solved => {
      const solved = inputs.get(input);
      if (solved === undefined) throw new Error("an input that was not solved");
      return solved;
    };
    const contentKey = vertex.contentKey(snapshotOf);
    const byContent = stored(contentKey);
    if (byContent !== undefined) return byContent;

    const run = this.#run;
    const base = snapshotOf(operation.base);
    const { staged, content } = await run.slots.run(run.signal, (): Promise<NewLayer> => {
      switch (operation.kind) {
        case "exec":
          return solveExec(run, operation, base);
        case "file":
          return solveFile(run, operation, base);
        case "merge":
          return solveMerge(run, base, snapshotOf(operation.upper));
      }
    });
    const diffIds = [...base.diffIds, content.diffId];
    const chainId = chainIdsOf(diffIds).at(-1) ?? "";
    const made = { ...content, staged, chainId, parent: base.chainId };
    return { layer: staged, chainId, diffIds, made, keys: [definitionKey, contentKey, ...(upper === undefined ? [] : [layerKey(upper)])] };
  }

  /** An input that was carried out once more in this build may have come to something else: then what was made of the old one is no help. */
  async #fits({ inputs: [base] }: Vertex, result: Snapshot): Promise<boolean> {
    const solved = base === undefined ? undefined : await this.#solved.get(base);
    return solved === undefined || solved.diffIds.join() === result.diffIds.slice(0, -1).join();
  }

  /** What was once merged upon another base, as a layer by itself: it is still there, as the uppermost of that. */
  #layerOf(upper: Vertex): Solved | undefined {
    const { results, layers } = this.#run.engine;
    const merged = results.find(layerKey(upper));
    const diffId = merged === undefined ? undefined : layers.describe(merged)?.diffId;
    return diffId === undefined ? undefined : { layer: merged, chainId: diffId, diffIds: [diffId], made: undefined, keys: [] };
  }
}

function layerKey({ definitionKey }: Vertex): string {
  return `layer ${definitionKey}`;
}
