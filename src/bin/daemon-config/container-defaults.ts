import { readFile } from "node:fs/promises";
import path from "node:path";

import { EngineError, messageOf } from "../../base/errors.ts";
import { parseMemorySize } from "../../base/sizes.ts";
import { isObject } from "./config-file.ts";
import type { Settings } from "./settings.ts";

/** What a container gets that asks for nothing else. */
export interface ContainerDefaults {
  ulimits: { name: string; soft: number; hard: number }[];
  /** Undefined: by the exec root, so that daemons side by side keep theirs apart. */
  cgroupParent: string | undefined;
  init: boolean;
  initPath: string | undefined;
  shmSizeBytes: number;
  ipcMode: "private" | "shareable";
  /** Undefined: by the cgroup version. */
  cgroupnsMode: "host" | "private" | undefined;
  noNewPrivileges: boolean;
  /** The text of a profile, or one of two words. */
  seccompProfile: { kind: "builtin" } | { kind: "unconfined" } | { kind: "custom"; json: string };
}

const SHM_SIZE_BYTES = 64 * 1024 * 1024;

export async function readContainerDefaults(settings: Settings): Promise<ContainerDefaults> {
  const shmSize = settings.text("default-shm-size");
  const shmSizeBytes = shmSize === undefined ? SHM_SIZE_BYTES : parseMemorySize(shmSize);
  if (shmSizeBytes === undefined)
    throw new EngineError("invalid", `invalid argument "${shmSize}" for "--default-shm-size" flag: invalid size: '${shmSize}'`);
  const cgroupParent = settings.text("cgroup-parent") || undefined;
  if (cgroupParent !== undefined && (!cgroupParent.startsWith("/") || cgroupParent.split("/").includes(".."))) {
    throw new EngineError("invalid", `cgroup-parent: an absolute path is wanted, not "${cgroupParent}"`);
  }
  return {
    ulimits: readUlimits(settings),
    cgroupParent: cgroupParent && path.normalize(cgroupParent).replace(/(.)\/$/, "$1"),
    init: settings.boolean("init") ?? false,
    initPath: settings.text("init-path") || undefined,
    shmSizeBytes,
    ipcMode: oneOf("default-ipc-mode", settings.text("default-ipc-mode"), ["private", "shareable"]) ?? "private",
    cgroupnsMode: oneOf("default-cgroupns-mode", settings.text("default-cgroupns-mode"), ["host", "private"]),
    noNewPrivileges: settings.boolean("no-new-privileges") ?? false,
    seccompProfile: await readSeccompProfile(settings.text("seccomp-profile") ?? "builtin"),
  };
}

const ULIMITS = "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" ");

/** `--default-ulimit nofile=1024:2048`, and `"default-ulimits": {NAME: {"Name": …, "Soft": N, "Hard": N}}`. */
function readUlimits(settings: Settings): ContainerDefaults["ulimits"] {
  const fromFile = Object.entries(settings.object("default-ulimit")).map(([name, value]) => {
    const limit = isObject(value) ? value : {};
    return { name, soft: Number(limit["Soft"]), hard: Number(limit["Hard"]) };
  });
  const fromFlags = [...settings.flagPairs("default-ulimit")].map(([name, value]) => {
    const [soft = "", hard = soft] = value.split(":");
    return { name, soft: soft === "" ? Number.NaN : Number(soft), hard: Number(hard) };
  });
  for (const { name, soft, hard } of [...fromFile, ...fromFlags]) {
    if (!ULIMITS.includes(name)) throw new EngineError("invalid", `invalid ulimit type: ${name}`);
    if (!Number.isSafeInteger(soft) || !Number.isSafeInteger(hard))
      throw new EngineError("invalid", `ulimit ${name}: SOFT[:HARD] in whole numbers is wanted`);
    if (hard !== -1 && (soft > hard || soft === -1))
      throw new EngineError("invalid", `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return [...fromFile, ...fromFlags];
}

async function readSeccompProfile(text: string): Promise<ContainerDefaults["seccompProfile"]> {
  if (text === "builtin" || text === "default" || text === "") return { kind: "builtin" };
  if (text === "unconfined") return { kind: "unconfined" };
  try {
    const json = await readFile(text, "utf8");
    JSON.parse(json);
    return { kind: "custom", json };
  } catch (error) {
    throw new EngineError("invalid", `opening seccomp profile (${text}) failed: ${messageOf(error)}`);
  }
}

function oneOf<T extends string>(name: string, text: string | undefined, choices: readonly T[]): T | undefined {
  if (!text) return undefined;
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new EngineError("invalid", `${name}: ${choices.join(" or ")} is wanted, not "${text}"`);
  return found;
}
