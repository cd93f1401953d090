import type { MountRequest } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";

/** Flags of a tmpfs: each with the class in which the last one given wins. */
const FLAG_CLASSES: ReadonlyMap<string, string> = new Map(
  [
    ["ro", "rw"],
    ["exec", "noexec"],
    ["suid", "nosuid"],
    ["dev", "nodev"],
    ["async", "sync"],
    ["atime", "noatime"],
    ["diratime", "nodiratime"],
    ["relatime", "norelatime"],
    ["strictatime", "nostrictatime"],
    ["mand", "nomand"],
    ["dirsync"],
    ["remount"],
    ["bind", "rbind", "private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"],
  ].flatMap((names) => names.map((name) => [name, names[0] ?? name])),
);

/** Options with a value that the kernel's tmpfs takes. */
const VALUED = new Set(["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"]);

/** Of options that contradict each other the last one stays, where it stands. What tmpfs does not know is refused in Docker's words. */
export function mergeTmpfsOptions(options: readonly string[]): string[] {
  const seen = new Set<string>();
  const kept: string[] = [];
  for (const option of options.toReversed()) {
    if (option === "defaults") continue;
    const [key = "", value] = option.split("=", 2);
    const flagClass = FLAG_CLASSES.get(option);
    if (flagClass === undefined && !(VALUED.has(key) && value !== undefined)) {
      const parts = value === undefined ? [option] : [key, option.slice(key.length + 1)];
      throw new EngineError("invalid", `invalid tmpfs option [${parts.map((part) => JSON.stringify(part)).join(" ")}]`);
    }
    const slot = flagClass ?? key;
    if (seen.has(slot)) continue;
    seen.add(slot);
    kept.unshift(option);
  }
  return kept;
}

/** The options that an entry of `HostConfig.Mounts` of type tmpfs stands for. */
export function tmpfsOptionsOfMount(request: MountRequest | undefined): string[] {
  if (request === undefined) return [];
  const { SizeBytes = 0, Mode = 0, Options = [] } = request.TmpfsOptions ?? {};
  return [
    ...(request.ReadOnly ? ["ro"] : []),
    ...(Mode === 0 ? [] : [`mode=${Mode.toString(8)}`]),
    ...(SizeBytes > 0 ? [`size=${SizeBytes}`] : []),
    ...(Options ?? []).map((pair) => pair.join("=")),
  ];
}
