import { readFile } from "node:fs/promises";

import { writeFileAtomic } from "../base/atomic-file.ts";
import { codeOf, EngineError } from "../base/errors.ts";
import { openFolderDriver, type DriverOptions } from "./folder-driver.ts";
import type { LayerDriver } from "./layers.ts";
import type { Mounting } from "./mounting.ts";
import { overlayMounting } from "./overlay-mounting.ts";
import { paths, type Roots } from "./roots.ts";
import { vfsMounting } from "./vfs-mounting.ts";

/** By the names that Docker has for them. */
const MOUNTINGS = {
  overlay2: ({ roots }: DriverOptions): Mounting => overlayMounting(roots),
  vfs: ({ roots, children }: DriverOptions): Mounting => vfsMounting(roots, children),
};
export type DriverName = keyof typeof MOUNTINGS;

const DEFAULT: DriverName = "overlay2";

export function driverNamed(name: string): DriverName | undefined {
  return Object.hasOwn(MOUNTINGS, name) ? (name as DriverName) : undefined; // it is one of the keys
}

/** Opens the layers of a data root, which keeps the driver that it began with. */
export async function openStorageDriver(wanted: DriverName | undefined, options: DriverOptions): Promise<LayerDriver> {
  const { roots, database } = options;
  const hasLayers = database.sql.prepare("SELECT 1 FROM layers UNION ALL SELECT 1 FROM writable_layers LIMIT 1").get() !== undefined;
  // Those of old do not say it.
  const own = (await readDriver(roots)) ?? (hasLayers ? DEFAULT : undefined);
  if (hasLayers && own !== undefined && wanted !== undefined && wanted !== own) {
    throw new EngineError(
      "invalid",
      `starting on data root ${roots.data} with the storage driver ${wanted}: its layers were made by ${own}: ` +
        `use --storage-driver ${own}, or another --data-root`,
    );
  }
  const name = (hasLayers ? own : wanted) ?? own ?? DEFAULT;
  const driver = await openFolderDriver(MOUNTINGS[name](options), options);
  if (name !== own) await writeFileAtomic(paths.storageDriver(roots), `${name}\n`);
  return driver;
}

async function readDriver(roots: Roots): Promise<DriverName | undefined> {
  try {
    const text = await readFile(paths.storageDriver(roots), "utf8");
    const name = driverNamed(text.trim());
    if (name === undefined)
      throw new EngineError("system", `${paths.storageDriver(roots)} names no storage driver: ${JSON.stringify(text)}`);
    return name;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
