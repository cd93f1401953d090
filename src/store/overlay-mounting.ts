import { mkdir, rm } from "node:fs/promises";
import path from "node:path";

import { EngineError } from "../base/errors.ts";
import { mountOverlay, readMounts, unmount } from "../kernel/mount.ts";
import type { Mounting } from "./mounting.ts";
import { paths, type Roots } from "./roots.ts";

/** By the kernel's overlay file system, which writes into the upper folder. Where there is nothing below, an empty folder is. */
export function overlayMounting(roots: Roots): Mounting {
  if (/[:,\\]/.test(roots.data)) {
    throw new EngineError(
      "invalid",
      `the data root ${roots.data} contains a colon, comma or backslash, which overlay mounts cannot name: use another --data-root`,
    );
  }
  const empty = path.join(paths.scratch(roots), "diff");
  return {
    name: "overlay2",
    async mount({ upper, work, lower, volatile }, target) {
      await mkdir(work, { recursive: true, mode: 0o700 });
      // A volatile mount leaves this mark for the kernel to refuse the next mount; its content is declared expendable, so go on.
      await rm(path.join(work, "work/incompat"), { recursive: true, force: true });
      await mountOverlay({ lower: lower.length > 0 ? lower : [empty], writable: { upper, work, volatile }, target });
    },
    collect: async () => undefined,
    async mountReadOnly(lower, target) {
      // Without an upper folder the kernel wants two; the empty one at the bottom adds nothing.
      await mountOverlay({ lower: lower.length > 1 ? lower : [...lower, empty], target });
    },
    unmount: async (target) => void (await unmount(target)),
    complete: async () => undefined,
    found: () =>
      readMounts().flatMap(({ type, target, superOptions }) => {
        const upper = /(?:^|,)upperdir=([^,]+)/.exec(superOptions)?.[1];
        const folder = upper ?? /(?:^|,)lowerdir\+?=([^,:]+)/.exec(superOptions)?.[1];
        return type === "overlay" && folder !== undefined ? [{ folder, target }] : [];
      }),
  };
}
