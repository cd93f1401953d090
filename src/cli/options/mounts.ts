import { parseBoolean } from "../arguments.ts";
import { warn } from "../output/print.ts";
import { cut, parseCsv, parseSizeBytes } from "./values.ts";
import path from "node:path";

/** `--mount type=…,source=…,target=…,…`: one mount as the Engine API has it. */
export type Mount = {
  Type: string;
  Source?: string;
  Target?: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: { Propagation?: string; NonRecursive?: boolean; ReadOnlyNonRecursive?: boolean; ReadOnlyForceRecursive?: boolean };
  VolumeOptions?: {
    NoCopy?: boolean;
    Labels: Record<string, string>;
    Subpath?: string;
    DriverConfig: { Name?: string; Options?: Record<string, string> };
  };
  ImageOptions?: { Subpath?: string };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number };
};

export function parseMount(text: string): Mount {
  const mount: Mount = { Type: "volume" };
  for (const field of parseCsv(text)) setField(mount, field);
  if (mount.Type === "") throw new Error("type is required");
  if (mount.Target === undefined || mount.Target === "") throw new Error("target is required");
  for (const [options, type] of [
    ["VolumeOptions", "volume"],
    ["ImageOptions", "image"],
    ["BindOptions", "bind"],
    ["TmpfsOptions", "tmpfs"],
  ] as const) {
    if (mount[options] !== undefined && mount.Type !== type)
      throw new Error(`cannot mix '${type}-*' options with mount type '${mount.Type}'`);
  }
  const bind = mount.BindOptions;
  if (bind?.ReadOnlyNonRecursive && !mount.ReadOnly)
    throw new Error("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  if (bind?.ReadOnlyForceRecursive) {
    if (!mount.ReadOnly) throw new Error("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
    if (bind.Propagation !== "rprivate")
      throw new Error("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction");
  }
  return mount;
}

function setField(mount: Mount, field: string): void {
  const [rawKey, value] = cut(field, "=");
  const key = rawKey.toLowerCase();
  const volume = (): NonNullable<Mount["VolumeOptions"]> => (mount.VolumeOptions ??= { Labels: {}, DriverConfig: {} });
  const bind = (): NonNullable<Mount["BindOptions"]> => (mount.BindOptions ??= {});
  const flag = (text: string | undefined): boolean => {
    if (text === undefined) return true;
    try {
      return parseBoolean(text);
    } catch (error) {
      throw new Error(`invalid value for ${key}: ${text}`, { cause: error });
    }
  };
  if (value === undefined && !["readonly", "ro", "volume-nocopy", "bind-nonrecursive"].includes(key)) {
    throw new Error(`invalid field '${field}' must be a key=value pair`);
  }
  const text = value ?? "";
  switch (key) {
    case "type":
      mount.Type = text.toLowerCase();
      return;
    case "source":
    case "src":
      mount.Source = text.startsWith(".") ? path.resolve(text) : text;
      return;
    case "target":
    case "dst":
    case "destination":
      mount.Target = text;
      return;
    case "readonly":
    case "ro":
      mount.ReadOnly = flag(value);
      return;
    case "consistency":
      mount.Consistency = text.toLowerCase();
      return;
    case "bind-propagation":
      bind().Propagation = text.toLowerCase();
      return;
    case "bind-nonrecursive":
      bind().NonRecursive = flag(value);
      if (value !== undefined) warn("WARNING: bind-nonrecursive is deprecated, use bind-recursive=disabled instead");
      return;
    case "bind-recursive":
      setRecursion(bind(), text);
      return;
    case "volume-subpath":
      volume().Subpath = text;
      return;
    case "volume-nocopy":
      volume().NoCopy = flag(value);
      return;
    case "volume-label":
      setPair(volume().Labels, text);
      return;
    case "volume-driver":
      volume().DriverConfig.Name = text;
      return;
    case "volume-opt":
      setPair((volume().DriverConfig.Options ??= {}), text);
      return;
    case "image-subpath":
      (mount.ImageOptions ??= {}).Subpath = text;
      return;
    case "tmpfs-size":
      (mount.TmpfsOptions ??= {}).SizeBytes = tmpfsSize(text);
      return;
    case "tmpfs-mode":
      if (!/^[0-7]{1,11}$/.test(text)) throw new Error(`invalid value for ${key}: ${text}`);
      (mount.TmpfsOptions ??= {}).Mode = Number.parseInt(text, 8);
      return;
    default:
      throw new Error(`unexpected key '${key}' in '${field}'`);
  }
}

function setRecursion(bind: NonNullable<Mount["BindOptions"]>, text: string): void {
  if (text === "enabled") return;
  if (text === "disabled") bind.NonRecursive = true;
  else if (text === "writable") bind.ReadOnlyNonRecursive = true;
  else if (text === "readonly") bind.ReadOnlyForceRecursive = true;
  else throw new Error(`invalid value for bind-recursive: ${text} (must be "enabled", "disabled", "writable", or "readonly")`);
}

function setPair(target: Record<string, string>, text: string): void {
  const [key, value = ""] = cut(text, "=");
  if (key !== "") target[key] = value;
}

function tmpfsSize(text: string): number {
  try {
    return parseSizeBytes(text);
  } catch (error) {
    throw new Error(`invalid value for tmpfs-size: ${text}`, { cause: error });
  }
}
