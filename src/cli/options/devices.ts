import path from "node:path";
import { cut, parseCsv, parseSizeBytes, parseUnsigned, toMap } from "./values.ts";

/** Devices, their limits, GPUs and ulimits, in the words of `docker run`. */

export type DeviceMapping = { readonly PathOnHost: string; readonly PathInContainer: string; readonly CgroupPermissions: string };

/** `vendor.com/class=name`: a device that CDI describes. */
export function isCdiDevice(text: string): boolean {
  return /^[a-zA-Z][\w.-]*\/[a-zA-Z][\w.-]*=[a-zA-Z0-9](?:[\w.:-]*[a-zA-Z0-9])?$/.test(text);
}

/** `/dev/x`, `/dev/x:/dev/y`, `/dev/x:rwm`, `/dev/x:/dev/y:rwm`. */
export function parseDevice(text: string): DeviceMapping {
  const parts = text.split(":");
  const [source = "", second, third] = parts;
  if (parts.length > 3 || source === "") throw new Error(`bad format for path: ${text}`);
  if (third !== undefined && !isMode(third)) throw new Error(`bad mode specified: ${third}`);
  const mode = third ?? (second !== undefined && isMode(second) ? second : "rwm");
  const hasTarget = second !== undefined && (third !== undefined || !isMode(second));
  const checked = hasTarget ? second : source;
  if (!path.posix.isAbsolute(checked)) throw new Error(`${checked} is not an absolute path`);
  const target = third === undefined ? clean(checked) : checked;
  return { PathOnHost: hasTarget ? source : target, PathInContainer: target || source, CgroupPermissions: mode };
}

function isMode(text: string): boolean {
  return /^[rwm]+$/.test(text) && new Set(text).size === text.length;
}

function clean(text: string): string {
  const normal = path.posix.normalize(text);
  return normal.length > 1 ? normal.replace(/\/+$/, "") : normal;
}

export function checkCgroupRule(text: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text)) throw new Error(`invalid device cgroup format '${text}'`);
  return text;
}

function devicePath(text: string): readonly [string, string] {
  const [device, rest] = cut(text, ":");
  if (rest === undefined || device === "") throw new Error(`bad format: ${text}`);
  if (!device.startsWith("/dev/")) throw new Error(`bad format for device path: ${text}`);
  return [device, rest];
}

/** `--blkio-weight-device /dev/sda:500`. */
export function parseWeight(text: string): { Path: string; Weight: number } {
  const [device, rest] = devicePath(text);
  const weight = /^\d+$/.test(rest) ? Number(rest) : -1;
  if (weight < 0 || weight > 1000 || (weight > 0 && weight < 10)) throw new Error(`invalid weight for device: ${text}`);
  return { Path: device, Weight: weight };
}

/** `--device-read-bps /dev/sda:1mb`. */
export function parseByteRate(text: string): { Path: string; Rate: number } {
  const [device, rest] = devicePath(text);
  try {
    return { Path: device, Rate: parseSizeBytes(rest) };
  } catch (error) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
      { cause: error },
    );
  }
}

/** `--device-read-iops /dev/sda:1000`. */
export function parseOperationRate(text: string): { Path: string; Rate: number } {
  const [device, rest] = devicePath(text);
  try {
    return { Path: device, Rate: parseUnsigned(rest) };
  } catch (error) {
    throw new Error(`invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`, {
      cause: error,
    });
  }
}

const ULIMITS = new Set("core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "));

/** `--ulimit nofile=1024[:2048]`. */
export function parseUlimit(text: string): { Name: string; Soft: number; Hard: number } {
  const [name, rest] = cut(text, "=");
  if (rest === undefined) throw new Error(`invalid ulimit argument: ${text}`);
  if (!ULIMITS.has(name)) throw new Error(`invalid ulimit type: ${name}`);
  const parts = rest.split(":");
  if (parts.length > 2) throw new Error(`too many limit value arguments - ${rest}, can only have up to two, \`soft[:hard]\``);
  const number = (value: string): number => {
    if (!/^[+-]?\d+$/.test(value)) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
    return Number(value);
  };
  const hardText = parts[1];
  const hardGiven = hardText === undefined ? undefined : number(hardText);
  const soft = number(parts[0] ?? "");
  const hard = hardGiven ?? soft;
  if (hard !== -1 && soft === -1)
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${hard}`);
  if (hard !== -1 && soft > hard) throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { Name: name, Soft: soft, Hard: hard };
}

export type DeviceRequest = {
  Driver: string;
  Count: number;
  DeviceIDs: string[] | null;
  Capabilities: string[][] | null;
  Options: Record<string, string> | null;
};

/** `--gpus all`, `--gpus 2`, `--gpus '"device=0,1"'`, `--gpus driver=…,count=…,capabilities=…`. */
export function parseGpus(text: string): DeviceRequest {
  const request: DeviceRequest = { Driver: "", Count: 0, DeviceIDs: null, Capabilities: [["gpu"]], Options: {} };
  const seen = new Set<string>();
  for (const field of parseCsv(text)) {
    const [key, value] = cut(field, "=");
    if (seen.has(key)) throw new Error(`gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (value === undefined) {
      seen.add("count");
      request.Count = gpuCount(key);
    } else if (key === "driver") request.Driver = value;
    else if (key === "count") request.Count = gpuCount(value);
    else if (key === "device") request.DeviceIDs = value.split(",");
    else if (key === "capabilities") request.Capabilities = [[...value.split(","), "gpu"]];
    else if (key === "options") request.Options = toMap(parseCsv(value));
    else throw new Error(`unexpected key '${key}' in '${field}'`);
  }
  if (!seen.has("count") && request.DeviceIDs === null) request.Count = 1;
  return request;
}

function gpuCount(text: string): number {
  if (text === "all") return -1;
  if (!/^[+-]?\d+$/.test(text)) throw new Error(`invalid count (${text}): value must be either "all" or an integer: invalid syntax`);
  return Number(text);
}

/** `--cpus 1.5`: billionths of a CPU. */
export function parseCpus(text: string): number {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$|^([+-]?)(?:\.(\d+))$/.exec(text);
  const fraction = /^([+-]?)(\d+)\/(\d+)$/.exec(text);
  if (fraction !== null && Number(fraction[3]) > 0) {
    const nano = (BigInt(fraction[2] ?? "0") * 1_000_000_000n) / BigInt(fraction[3] ?? "1");
    if (nano * BigInt(fraction[3] ?? "1") !== BigInt(fraction[2] ?? "0") * 1_000_000_000n) throw new Error("value is too precise");
    return Number(nano) * (fraction[1] === "-" ? -1 : 1);
  }
  if (match === null) throw new Error(`failed to parse ${text} as a rational number`);
  const decimals = (match[3] ?? match[5] ?? "").replace(/0+$/, "");
  if (decimals.length > 9) throw new Error("value is too precise");
  const nano = BigInt(match[2] ?? "0") * 1_000_000_000n + BigInt(decimals.padEnd(9, "0"));
  return Number(nano) * ((match[1] ?? match[4]) === "-" ? -1 : 1);
}
