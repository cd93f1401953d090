import { lstat, readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";

import type { HostConfig } from "../../api/container-config.ts";
import { EngineError, reasonOf } from "../../base/errors.ts";

/** What the host says of the devices that a container's settings name: asked before its spec is made, for the spec is a pure function. */
export interface DeviceFacts {
  /** Nodes to make in the container: those of `--device`, and all of /dev for a privileged one. */
  nodes: DeviceNode[];
  /** Numbers of the block devices that limits name, by path. */
  blockNumbers: ReadonlyMap<string, DeviceNumber>;
}

export interface DeviceNumber {
  major: number;
  minor: number;
}

export interface DeviceNode extends DeviceNumber {
  type: "b" | "c";
  /** Where it appears in the container. */
  path: string;
  fileMode: number;
  uid: number;
  gid: number;
  /** `rwm` or a part of it. */
  access: string;
}

/** Below these a privileged container has file systems of its own, or they are no devices (containerd pkg/oci). */
const NOT_OF_THE_HOST = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]);

/** How deep /dev and folders given to `--device` are searched. */
const DEPTH_LIMIT = 16;

export const NO_DEVICES: DeviceFacts = { nodes: [], blockNumbers: new Map() };

/** Looks up every device that the settings name. A missing one rejects in Docker's words. */
export async function lookUpDevices(config: HostConfig): Promise<DeviceFacts> {
  const nodes: DeviceNode[] = config.Privileged ? await walk("/dev", "/dev", "rwm", DEPTH_LIMIT) : [];
  for (const { PathOnHost, PathInContainer, CgroupPermissions } of config.Devices ?? []) {
    if (config.Privileged && PathOnHost === PathInContainer) continue;
    nodes.push(...(await mappedDevices(PathOnHost, PathInContainer, config.Privileged ? "rwm" : CgroupPermissions)));
  }
  const limited = [config.BlkioWeightDevice, config.BlkioDeviceReadBps, config.BlkioDeviceWriteBps];
  const named = [...limited, config.BlkioDeviceReadIOps, config.BlkioDeviceWriteIOps].flatMap((list) => list?.map((one) => one.Path) ?? []);
  const blockNumbers = new Map<string, DeviceNumber>();
  for (const name of named) blockNumbers.set(name, await numberOf(name));
  return { nodes, blockNumbers };
}

async function mappedDevices(onHost: string, inContainer: string, access: string): Promise<DeviceNode[]> {
  const what = `error gathering device information while adding custom device "${onHost}"`;
  let source = onHost;
  try {
    source = await realpath(onHost);
    const node = await nodeAt(source, inContainer, access);
    if (node !== undefined) return [node];
    const found = (await stat(source)).isDirectory() ? await walk(source, inContainer, access, DEPTH_LIMIT) : [];
    if (found.length > 0) return found;
  } catch (error) {
    throw new EngineError("system", `${what}: ${reasonOf(error)}`, { cause: error });
  }
  throw new EngineError("system", `${what}: not a device node`);
}

/** The device nodes below a folder; what goes away meanwhile is left out. */
async function walk(folder: string, inContainer: string, access: string, depth: number): Promise<DeviceNode[]> {
  if (depth === 0) return [];
  const found: DeviceNode[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const [source, target] = [path.join(folder, entry.name), path.posix.join(inContainer, entry.name)];
    if (entry.isDirectory()) {
      if (!(folder === "/dev" && NOT_OF_THE_HOST.has(entry.name))) found.push(...(await walk(source, target, access, depth - 1)));
    } else if ((entry.isCharacterDevice() || entry.isBlockDevice()) && source !== "/dev/console") {
      const node = await nodeAt(source, target, access).catch(() => undefined);
      if (node !== undefined) found.push(node);
    }
  }
  return found;
}

async function nodeAt(source: string, target: string, access: string): Promise<DeviceNode | undefined> {
  const status = await lstat(source, { bigint: true });
  if (!status.isCharacterDevice() && !status.isBlockDevice()) return undefined;
  return {
    type: status.isBlockDevice() ? "b" : "c",
    path: target,
    ...splitDeviceNumber(status.rdev),
    fileMode: Number(status.mode) & 0o7777,
    uid: Number(status.uid),
    gid: Number(status.gid),
    access,
  };
}

async function numberOf(name: string): Promise<DeviceNumber> {
  try {
    return splitDeviceNumber((await stat(name, { bigint: true })).rdev);
  } catch (error) {
    throw new EngineError("system", `stat ${name}: ${reasonOf(error)}`, { cause: error });
  }
}

/** The kernel's dev_t as user space sees it (glibc's gnu_dev_major and gnu_dev_minor). */
export function splitDeviceNumber(device: bigint): DeviceNumber {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}
