import { mkdir, rm, stat } from "node:fs/promises";
import { resolve4 } from "node:dns/promises";
import { isIP } from "node:net";
import path from "node:path";

import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { mountFileSystem, readMounts, unmount } from "../../kernel/mount.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { VolumeDriver } from "./volume-driver.ts";
import type { VolumeRecord } from "./volume-records.ts";

const OPTIONS = new Set(["type", "o", "device", "size"]);

/** Docker's `local`: a folder of ours or, with options, whatever mount(8) can put there (tmpfs, NFS, another folder). */
export function openLocalDriver(roots: Roots): VolumeDriver {
  const dataOf = ({ name }: Pick<VolumeRecord, "name">): string => path.join(paths.volume(roots, name), "_data");
  return {
    validate({ name, options }) {
      for (const option of Object.keys(options ?? {}))
        if (!OPTIONS.has(option)) throw new EngineError("invalid", `create ${name}: invalid option: "${option}"`);
      if (options?.["size"] !== undefined) throw new EngineError("invalid", `create ${name}: quota size requested but no quota support`);
      if (!needsMount(options)) return;
      for (const needed of ["type", "device"])
        if (!options?.[needed]) throw new EngineError("invalid", `create ${name}: missing required option: "${needed}"`);
    },
    async create(volume) {
      await mkdir(paths.volume(roots, volume.name), { recursive: true, mode: 0o701 });
      failpoint("volumes.create.folder");
      await mkdir(dataOf(volume), { recursive: true, mode: 0o755 });
    },
    async remove(volume) {
      const [folder, data] = [paths.volume(roots, volume.name), dataOf(volume)];
      if (needsMount(volume.options)) while (await unmount(data));
      // Somebody else's: what it shows would be deleted with the rest.
      const mounted = readMounts().find(({ target }) => target.startsWith(`${folder}/`));
      if (mounted !== undefined) throw new Error(`device or resource busy: something is mounted at ${mounted.target}: unmount it first`);
      failpoint("volumes.remove.unmounted");
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
    mountpoint: dataOf,
    async mount(volume) {
      const { name, options } = volume;
      const target = dataOf(volume);
      if (!needsMount(options)) {
        await stat(target).catch((error: unknown) => {
          throw new EngineError("system", `mounting volume ${name}: its folder ${target} is gone: ${messageOf(error)}`, { cause: error });
        });
        return;
      }
      if (isMounted(target)) return;
      const { type = "", device = "", o = "" } = options ?? {};
      try {
        await mountFileSystem({ type, source: device, target, options: await withAddress(type, o) });
      } catch (error) {
        const message = `error while mounting volume '${target}': failed to mount local volume: ${messageOf(error)}`;
        throw new EngineError("system", message, { cause: error });
      }
    },
    async unmount(volume) {
      if (needsMount(volume.options)) await unmount(dataOf(volume));
    },
    staging: (volume) =>
      needsMount(volume.options)
        ? { folder: path.join(dataOf(volume), ".tsubo-fill"), isApart: false }
        : { folder: paths.volumesFilling(roots), isApart: true },
  };
}

function needsMount(options: VolumeRecord["options"]): boolean {
  return options !== null && ["type", "o", "device"].some((name) => (options[name] ?? "") !== "");
}

function isMounted(target: string): boolean {
  return readMounts().some((mount) => mount.target === target);
}

/** The kernel's NFS wants addresses where people write names. */
async function withAddress(type: string, options: string): Promise<string> {
  if (!/^(?:nfs|nfs4|cifs)$/.test(type)) return options;
  const name = /(?:^|,)addr=([^,]+)/.exec(options)?.[1];
  if (name === undefined || isIP(name) !== 0) return options;
  const [address] = await resolve4(name);
  return options.replace(/((?:^|,)addr=)[^,]+/, `$1${address}`);
}
