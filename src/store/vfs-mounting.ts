import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import path from "node:path";

import { bindMount, findBindMounts, unmount } from "../kernel/mount.ts";
import type { ChildPool } from "./child/pool.ts";
import type { Mounting } from "./mounting.ts";
import type { FlattenRequest } from "./pack/flatten.ts";
import type { DeltaRequest } from "./pack/make-delta.ts";
import { paths, type Roots } from "./roots.ts";

/**
 * Without any help of the kernel: beside each layer's folder is all of its tree, `tree`, which is bind-mounted; committed layers share the
 * files of their trees, whoever writes gets a copy. What was written is found by comparing the copy with what it was made of. Slow and
 * large, for file systems on which overlays do not work.
 */
export function vfsMounting(roots: Roots, children: ChildPool): Mounting {
  const empty = path.join(paths.scratch(roots), "diff");

  /** Makes the tree of folders, uppermost first, at `tree`: whole, or not at all. */
  const flatten = async (tree: string, folders: string[], share: boolean, signal?: AbortSignal): Promise<void> => {
    // Mount points lie beside a layer, too, and have no tree of their own.
    const at = folders.findIndex((folder) => path.basename(folder) === "diff" && existsSync(treeOf(folder)));
    const base = at === -1 ? undefined : treeOf(folders[at] ?? "");
    const layers = (at === -1 ? folders : folders.slice(0, at)).toReversed();
    const growing = `${tree}-new`;
    await rm(growing, { recursive: true, force: true });
    const payload: FlattenRequest = { tree: growing, base, layers, share };
    await children.run({ kind: "flatten", payload, what: "copying a layer's tree", heavy: true }, signal);
    await rename(growing, tree);
  };

  return {
    name: "vfs",
    async mount({ upper, lower }, target) {
      const tree = treeOf(upper);
      if (!existsSync(tree)) await flatten(tree, [upper, ...lower], false);
      await bindMount(tree, target);
    },
    async collect({ upper, lower }, signal) {
      if (!existsSync(treeOf(upper))) return;
      const growing = `${upper}-new`;
      await rm(growing, { recursive: true, force: true });
      const payload: DeltaRequest = { tree: treeOf(upper), lower, delta: growing };
      await children.run({ kind: "delta", payload, what: "comparing a tree with its layers", heavy: true }, signal);
      await rm(upper, { recursive: true, force: true });
      await rename(growing, upper);
    },
    async mountReadOnly(lower, target) {
      const [top = empty, ...below] = lower;
      if (top !== empty && !existsSync(treeOf(top))) await flatten(treeOf(top), [top, ...below], false);
      await bindMount(top === empty ? empty : treeOf(top), target, { readOnly: true });
    },
    unmount: async (target) => void (await unmount(target)),
    async complete(folder, below, signal) {
      const tree = treeOf(folder);
      // One in which somebody wrote may hold more than the layer.
      await rm(tree, { recursive: true, force: true });
      await flatten(tree, [folder, ...below], true, signal);
    },
    found: () => {
      const mounts = [paths.layers(roots), paths.containers(roots)].flatMap(findBindMounts);
      return mounts.map(({ folder, target }) => ({ folder: path.join(path.dirname(folder), "diff"), target }));
    },
  };
}

function treeOf(folder: string): string {
  return path.join(path.dirname(folder), "tree");
}
