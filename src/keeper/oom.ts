import { readOomKills } from "../kernel/cgroups.ts";

/** How often the counters of the containers that have a memory limit are read: one small file each. */
const LOOK_MS = 2000;

/** Watches for processes that the kernel kills for want of memory. No timer runs while nothing is watched. */
export class OomWatch {
  readonly #watched = new Map<string, { cgroupsPath: string; kills: number }>();
  readonly #onKill: (containerId: string) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(onKill: (containerId: string) => void) {
    this.#onKill = onKill;
  }

  watch(containerId: string, cgroupsPath: string): void {
    this.#watched.set(containerId, { cgroupsPath, kills: readOomKills(cgroupsPath) ?? 0 });
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Reads the counter a last time, while the group is still there; true when any process was ever killed. */
  finish(containerId: string, cgroupsPath: string): boolean {
    const kills = this.#check(containerId) ?? readOomKills(cgroupsPath) ?? 0;
    this.#watched.delete(containerId);
    if (this.#watched.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    return kills > 0;
  }

  #look(): void {
    for (const containerId of this.#watched.keys()) this.#check(containerId);
  }

  #check(containerId: string): number | undefined {
    const watched = this.#watched.get(containerId);
    if (watched === undefined) return undefined;
    const kills = readOomKills(watched.cgroupsPath) ?? watched.kills;
    if (kills > watched.kills) this.#onKill(containerId);
    watched.kills = kills;
    return kills;
  }
}
