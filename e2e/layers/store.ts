import { mkdirSync } from "node:fs";
import path from "node:path";

import { openLog } from "../../src/base/log.ts";
import { openChildPool } from "../../src/store/child/pool.ts";
import { openDatabase } from "../../src/store/database.ts";
import { chainIdOf } from "../../src/engine/images/image-store.ts";
import type { LayerDriver, LayerParent, StagedLayer } from "../../src/store/layers.ts";
import { openStorageDriver, type DriverName } from "../../src/store/storage-driver.ts";
import { ensureRoots, paths, type Roots } from "../../src/store/roots.ts";

/** Layers as a daemon has them, on roots of their own, with shorthands for tests. */
export interface TestStore extends AsyncDisposable {
  driver: LayerDriver;
  roots: Roots;
  /** A folder to mount at; one of that name for each test store. */
  target(name: string): string;
  /** Stages a layer and has it written in place, mounted. */
  stageInPlace(parent: LayerParent, write: (tree: string) => void | Promise<void>): Promise<StagedLayer>;
  /** Finishes and commits it; its chainID. */
  commit(staged: StagedLayer, parent: string | undefined): Promise<string>;
  /** As after a crash: another driver on the same roots, while this one never came to its end. */
  reopen(): Promise<TestStore>;
}

const unpackProgram = path.resolve(import.meta.dirname, "../../dist/tsubo-unpack.cjs");

export async function openTestStore(folder: string, name: DriverName): Promise<TestStore> {
  const roots: Roots = { data: path.join(folder, "data"), exec: path.join(folder, "run") };
  mkdirSync(folder, { recursive: true });
  await ensureRoots(roots);
  const log = openLog("layers", "fatal");
  const database = openDatabase(paths.database(roots));
  const children = openChildPool({ command: [process.execPath, unpackProgram], log });
  const driver = await openStorageDriver(name, { database, roots, log, children });
  const target = (at: string): string => {
    const mountPoint = path.join(folder, at);
    mkdirSync(mountPoint, { recursive: true });
    return mountPoint;
  };
  return {
    driver,
    roots,
    target,
    async stageInPlace(parent, write) {
      const staged = await driver.stage(parent);
      const tree = target("tree");
      await staged.mount(tree);
      try {
        await write(tree);
      } finally {
        await staged.unmount();
      }
      return staged;
    },
    async commit(staged, parent) {
      const content = await staged.finish();
      const chainId = chainIdOf(parent, content.diffId);
      await driver.commit([{ ...content, staged, chainId, parent }]);
      return chainId;
    },
    async reopen() {
      database.close();
      await children[Symbol.asyncDispose]();
      return openTestStore(folder, name);
    },
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]();
      await children[Symbol.asyncDispose]();
      database.close();
    },
  };
}
