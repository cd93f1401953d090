import { stat } from "node:fs/promises";
import path from "node:path";

import type { HostConfig, MountRequest } from "../../api/container-config.ts";
import { codeOf, EngineError, messageOf } from "../../base/errors.ts";
import { checkVolumeName } from "../volumes/volume-names.ts";
import type { MountPoint } from "./container.ts";
import { mergeTmpfsOptions, tmpfsOptionsOfMount } from "./tmpfs-options.ts";

/**
 * What a container is given to see of the host and of volumes: `Binds` (`-v source:destination[:mode]`), `Mounts` (`--mount`) and
 * `VolumesFrom`, as one list of mount points. A source that begins with a slash is a folder or file of the host, another a volume's name.
 * A volume's source is filled in by whoever keeps the volumes.
 */
export interface MountSources {
  /** Ours: binds above, in and below it get propagation `rslave`, so that they do not hold our mounts busy. */
  dataRoot: string;
  /** The mount points of the container that `VolumesFrom` names; rejects when there is none. */
  mountsOf: (container: string) => readonly MountPoint[];
}

const PROPAGATIONS = new Set(["private", "rprivate", "shared", "rshared", "slave", "rslave"]);
const MODE_GROUPS: readonly ReadonlySet<string>[] = [
  new Set(["ro", "rw"]),
  new Set(["z", "Z"]),
  PROPAGATIONS,
  new Set(["nocopy"]),
  new Set(["consistent", "cached", "delegated"]),
];

/** Below /proc only these may be covered: lxcfs does so. Others would redirect what the runtime writes there (CVE-2019-16884, CVE-2025-52881). */
const PROC_FILES = new Set(
  "cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo net/dev sys/kernel/ns_last_pid".split(" ").map((name) => `/proc/${name}`),
);

/** All mount points a container asks for; refused in Docker's words. Later kinds replace earlier ones at the same destination. */
export async function resolveMounts(config: HostConfig, volumes: Iterable<string>, sources: MountSources): Promise<MountPoint[]> {
  const byDestination = new Map<string, MountPoint>();
  for (const spec of config.VolumesFrom ?? []) {
    for (const mount of inheritMounts(spec, sources)) byDestination.set(mount.destination, mount);
  }
  const taken = new Set<string>();
  for (const destination of config.Tmpfs?.keys() ?? []) {
    checkDestination(destination);
    taken.add(path.posix.resolve(destination));
  }
  for (const options of config.Tmpfs?.values() ?? []) mergeTmpfsOptions(options === "" ? [] : options.split(","));
  const claim = (mount: MountPoint): void => {
    if (taken.has(mount.destination)) throw invalid(`Duplicate mount point: ${mount.destination}`);
    if (mount.type === "volume") checkVolumeName(mount.name);
    taken.add(mount.destination);
    byDestination.set(mount.destination, mount);
  };
  for (const spec of config.Binds ?? []) claim(withOwnPropagation(parseBind(spec, config.VolumeDriver), sources.dataRoot));
  for (const request of config.Mounts ?? []) claim(withOwnPropagation(await parseMount(request), sources.dataRoot));
  // Of the image and of `-v /destination`: only where nothing else is.
  for (const spec of volumes) {
    const destination = path.posix.resolve("/", spec);
    checkDestination(destination);
    if (taken.has(destination) || byDestination.has(destination)) continue;
    byDestination.set(destination, { ...volume("", config.VolumeDriver), destination, readOnly: false, mode: "", isAnonymous: true });
  }
  return [...byDestination.values()];
}

/** Reads `[source:]destination[:mode]`. */
export function parseBind(spec: string, volumeDriver = ""): MountPoint {
  const wrong = (): EngineError => invalid(`invalid volume specification: '${spec}'`);
  const parts = spec.split(":");
  const [first = "", second, mode = ""] = parts;
  if (first === "" || parts.length > 3 || second === "" || (parts.length === 2 && isMode(second ?? ""))) throw wrong();
  const [source, destination] = second === undefined ? ["", first] : [first, second];
  if (!isMode(mode)) throw invalid(`invalid mode: ${mode}`);
  try {
    checkDestination(destination);
  } catch (error) {
    const type = source.startsWith("/") ? "bind" : "volume";
    throw invalid(`invalid volume specification: '${spec}': invalid mount config for type "${type}": ${messageOf(error)}`);
  }
  const words = mode.split(",");
  const propagation = words.find((word) => PROPAGATIONS.has(word));
  const noCopy = words.includes("nocopy") ? { noCopy: true } : {};
  const common = { destination: path.posix.resolve(destination), mode, readOnly: words.includes("ro"), ...noCopy };
  if (source.startsWith("/")) {
    return { ...common, type: "bind", name: "", source: path.posix.resolve(source), driver: "", propagation: propagation ?? "rprivate" };
  }
  if (propagation !== undefined) {
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "volume": field BindOptions must not be specified`,
    );
  }
  return {
    ...volume(source, volumeDriver),
    ...common,
    mode: mode === "" ? relabelMode(volumeDriver) : mode,
    ...(source === "" ? { isAnonymous: true } : {}),
  };
}

async function parseMount(request: MountRequest): Promise<MountPoint> {
  try {
    return await parseMountRequest(request);
  } catch (error) {
    throw invalid(`invalid mount config for type "${request.Type}": ${messageOf(error)}`);
  }
}

async function parseMountRequest(request: MountRequest): Promise<MountPoint> {
  const { Type, Source, Target, ReadOnly, BindOptions, VolumeOptions, TmpfsOptions, ImageOptions } = request;
  if (Target === "") throw new Error("field Target must not be empty");
  checkDestination(Target);
  const forbid = (options: Record<string, unknown>): void => {
    for (const [name, value] of Object.entries(options)) {
      if (value !== undefined && value !== "") throw new Error(`field ${name} must not be specified`);
    }
  };
  const destination = path.posix.resolve(Target);
  const empty = { name: "", source: "", driver: "", mode: "", propagation: "", destination, readOnly: ReadOnly };
  switch (Type) {
    case "bind": {
      if (Source === "") throw new Error("field Source must not be empty");
      const propagation = BindOptions?.Propagation ?? "";
      if (propagation !== "" && !PROPAGATIONS.has(propagation)) throw new Error(`invalid propagation mode: ${propagation}`);
      forbid({ VolumeOptions, ImageOptions, TmpfsOptions });
      checkAbsolute(Source);
      if (BindOptions?.CreateMountpoint !== true) await checkExists(Source);
      return {
        ...empty,
        type: "bind",
        source: path.posix.resolve(Source),
        propagation: propagation === "" ? "rprivate" : propagation,
        ...(BindOptions?.NonRecursive === true ? { isShallow: true } : {}),
      };
    }
    case "volume": {
      forbid({ BindOptions, ImageOptions, TmpfsOptions });
      const subpath = VolumeOptions?.Subpath ?? "";
      if (subpath !== "" && Source === "") throw new Error("must not set Subpath when using anonymous volumes");
      if (subpath !== "" && !isLocal(subpath)) throw new Error("subpath must be a relative path within the volume");
      if (ReadOnly && Source === "") throw new Error("must not set ReadOnly mode when using anonymous volumes");
      const driver = VolumeOptions?.DriverConfig?.Name ?? "";
      return {
        ...volume(Source, driver),
        destination,
        readOnly: ReadOnly,
        mode: relabelMode(driver),
        ...(Source === "" ? { isAnonymous: true } : {}),
        ...(subpath === "" ? {} : { subpath }),
        ...(VolumeOptions?.NoCopy === true ? { noCopy: true } : {}),
      };
    }
    case "tmpfs":
      forbid({ BindOptions, ImageOptions, VolumeOptions, Source });
      mergeTmpfsOptions(tmpfsOptionsOfMount(request));
      return { ...empty, type: "tmpfs" };
    case "image": {
      forbid({ BindOptions, VolumeOptions, TmpfsOptions });
      if (Source === "") throw new Error("field Source must not be empty");
      const subpath = ImageOptions?.Subpath ?? "";
      if (subpath !== "" && !isLocal(subpath)) throw new Error("subpath must be a relative path within the image");
      return { ...empty, type: "image", source: Source, readOnly: true, ...(subpath === "" ? {} : { subpath }) };
    }
    default:
      throw new Error("mount type unknown");
  }
}

/** What Docker writes down where nothing was said of a volume that it would relabel for SELinux. */
function relabelMode(driver: string): string {
  return driver === "" || driver === "local" ? "z" : "";
}

function volume(name: string, driver: string): Omit<MountPoint, "destination" | "readOnly" | "mode"> {
  return { type: "volume", name, source: "", driver: driver === "" ? "local" : driver, propagation: "" };
}

/** `container[:ro|rw]` */
function inheritMounts(spec: string, sources: MountSources): MountPoint[] {
  if (spec === "") throw invalid("volumes-from specification cannot be an empty string");
  const [container = "", mode = ""] = spec.split(/:(.*)/s);
  const words = mode.split(",");
  if (!isMode(mode) || words.some((word) => PROPAGATIONS.has(word) || word === "nocopy")) throw invalid(`invalid mode: ${mode}`);
  return sources
    .mountsOf(container)
    .filter(({ type }) => type !== "tmpfs")
    .map((mount) => ({ ...mount, mode: "", readOnly: mount.readOnly || words.includes("ro"), noCopy: true }));
}

/** Words of which at most one of a kind may be given. */
function isMode(mode: string): boolean {
  if (mode === "") return true;
  const groups = mode.split(",").map((word) => MODE_GROUPS.findIndex((group) => group.has(word)));
  return !groups.includes(-1) && new Set(groups).size === groups.length;
}

function checkDestination(destination: string): void {
  if (path.posix.normalize(destination.replaceAll("\\", "/")) === "/") throw invalid("invalid specification: destination can't be '/'");
  checkAbsolute(destination);
  const target = path.posix.resolve(destination);
  if (target.startsWith("/proc/") && !PROC_FILES.has(target)) throw invalid(`"${target}" cannot be mounted because it is inside /proc`);
}

function checkAbsolute(name: string): void {
  if (!name.startsWith("/")) throw invalid(`invalid mount path: '${name}' mount path must be absolute`);
}

async function checkExists(source: string): Promise<void> {
  try {
    await stat(source);
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw new Error(`bind source path does not exist: ${source}`, { cause: error });
    throw error;
  }
}

function isLocal(subpath: string): boolean {
  const normal = path.posix.normalize(subpath);
  return !normal.startsWith("/") && normal !== ".." && !normal.startsWith("../");
}

/** A bind that shows our own data is a slave of the host's mounts unless the user has said how (moby validateBindDaemonRoot). */
function withOwnPropagation(mount: MountPoint, dataRoot: string): MountPoint {
  if (mount.type !== "bind" || !(isWithin(mount.source, dataRoot) || isWithin(dataRoot, mount.source))) return mount;
  return mount.propagation === "rprivate" ? { ...mount, propagation: "rslave" } : mount;
}

export function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}
