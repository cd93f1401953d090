import { createHash } from "node:crypto";

import { encodeJson } from "../../../api/json.ts";
import type { LayerDriver, LayerParent, MountPlace } from "../../../store/layers.ts";
import type { OciMount } from "../../containers/oci-mounts.ts";
import type { Copy } from "../context/copy-files.ts";
import type { ModeChange } from "../context/file-mode.ts";

/**
 * The graph of a build: operations as data, each with the vertices it works on. A view (classic/) makes vertices; the solver carries them out.
 *
 * A vertex has two keys. Its *definition key* says what it is by what it is made of: the operation, and the definition keys of its inputs. Its
 * *content key* says the same with what the inputs turned out to hold in place of how they came about: their chainIDs, and the sums of the files
 * that are taken. Equal keys of either kind mean equal results, so a changed input that came out the same changes nothing that follows.
 * Contents of secrets, agents and cache mounts are in no key, and neither are times.
 */
export type Operation = SourceOperation | ExecOperation | FileOperation | MergeOperation;

/** Files that are there: an image's, or none (`scratch`). */
export interface SourceOperation {
  kind: "source";
  snapshot: Snapshot;
}

/** A process that runs in a tree. */
export interface ExecOperation {
  kind: "exec";
  base: Vertex;
  words: string[];
  env: string[];
  user: string;
  workingDir: string;
  /** Of the process's container: the members of the API's HostConfig. */
  hostConfig: Record<string, unknown>;
  mounts: ExecMounts;
  /** What is no part of what it is: its container's id and labels, variables that do not count, and where its output goes. */
  containerId: string;
  labels: Record<string, string>;
  uncountedEnv: string[];
  onOutput: (stream: "stdout" | "stderr", bytes: Buffer) => void;
}

export interface ExecMounts {
  /** What the mounts are known by. */
  keys: string[];
  /** Makes them; they are there until `stack` is disposed. */
  prepare(stack: AsyncDisposableStack): Promise<PreparedMounts>;
}

export interface PreparedMounts {
  mounts: OciMount[];
  /** Where they go and nothing is. */
  places: MountPlace[];
  /** Variables that hold secrets. */
  env: string[];
}

/** Files copied into a tree, or, without any, a folder made. */
export interface FileOperation {
  kind: "file";
  base: Vertex;
  copies: Copy[];
  /** Of what is copied, one for each source. */
  sums: string[];
  /** Absolute; ends in `/` when it must be a folder. */
  destination: string;
  /** `USER:GROUP`, as numbers or by the tree's own names; undefined: as in the stage or image it comes from, or root. */
  owner: string | undefined;
  mode: ModeChange | undefined;
}

/** The layer of one vertex upon the tree of another: what is copied independently of what is below. */
export interface MergeOperation {
  kind: "merge";
  base: Vertex;
  upper: Vertex;
}

/** Files as an operation left them. */
export interface Snapshot {
  /** Top layer, committed or not; undefined for no files at all. */
  layer: LayerParent;
  chainId: string | undefined;
  diffIds: string[];
}

export class Vertex {
  readonly operation: Operation;
  readonly definitionKey: string;

  constructor(operation: Operation) {
    this.operation = operation;
    this.definitionKey = keyOf(operation, ({ definitionKey }) => definitionKey);
  }

  get inputs(): Vertex[] {
    const { operation } = this;
    switch (operation.kind) {
      case "source":
        return [];
      case "exec":
      case "file":
        return [operation.base];
      case "merge":
        return [operation.base, operation.upper];
    }
  }

  /** Known once the inputs are solved. */
  contentKey(snapshotOf: (input: Vertex) => Snapshot): string {
    return keyOf(this.operation, (input) => snapshotOf(input).chainId ?? "scratch");
  }
}

function keyOf(operation: Operation, input: (vertex: Vertex) => string): string {
  return createHash("sha256")
    .update(encodeJson(partsOf(operation, input)))
    .digest("hex");
}

function partsOf(operation: Operation, input: (vertex: Vertex) => string): unknown[] {
  switch (operation.kind) {
    case "source":
      return ["source", operation.snapshot.chainId ?? "scratch"];
    case "exec": {
      const { base, words, env, user, workingDir, hostConfig, mounts } = operation;
      return ["exec", input(base), words, env, user, workingDir, hostConfig, mounts.keys];
    }
    case "file": {
      const { base, copies, sums, destination, owner = "", mode = null } = operation;
      // Of a single file the name may be part of where it goes.
      const taken = copies.map(({ items, excludes, parents, unpacks }) => [
        items.map(({ path, pivot }) => [path, pivot]),
        excludes,
        parents,
        unpacks,
      ]);
      return ["file", input(base), taken, sums, destination, owner, mode];
    }
    case "merge":
      return ["merge", input(operation.base), input(operation.upper)];
  }
}

/** A vertex for files that are in the store. */
export function sourceVertex(layers: LayerDriver, chainId: string | undefined): Vertex {
  return new Vertex({ kind: "source", snapshot: storedSnapshot(layers, chainId) });
}

export function storedSnapshot(layers: LayerDriver, chainId: string | undefined): Snapshot {
  const diffIds: string[] = [];
  for (let next = chainId; next !== undefined;) {
    const layer = layers.describe(next);
    if (layer === undefined) throw new Error(`layer ${next} is not in the store`);
    diffIds.unshift(layer.diffId);
    next = layer.parent;
  }
  return { layer: chainId, chainId, diffIds };
}
