import type { HostConfig } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import type { DeviceFacts } from "./host-devices.ts";

/** `linux.devices` of the OCI runtime-spec. */
export interface OciDevice {
  type: string;
  path: string;
  major: number;
  minor: number;
  fileMode: number;
  uid: number;
  gid: number;
}

/** `linux.resources.devices`: later rules win. Absent or -1 numbers stand for all. */
export interface OciDeviceRule {
  allow: boolean;
  type?: string;
  major?: number;
  minor?: number;
  access: string;
}

/** Everything is forbidden but null, zero, random, urandom, tty and console; the runtime adds full, ptmx and the ptys by itself. */
const DEFAULT_RULES: readonly OciDeviceRule[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 5, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 9, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 8, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 0, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 1, access: "rwm" },
  // fuse
  { allow: false, type: "c", major: 10, minor: 229, access: "rwm" },
];

/** The device nodes of a container and the rules of what may be done with which. */
export function buildDevices(config: HostConfig, facts: DeviceFacts): { nodes: OciDevice[]; rules: OciDeviceRule[] } {
  const nodes = facts.nodes.map(({ type, path, major, minor, fileMode, uid, gid }) => ({ type, path, major, minor, fileMode, uid, gid }));
  if (config.Privileged) return { nodes, rules: [...DEFAULT_RULES, { allow: true, access: "rwm" }] };
  const ofNodes = facts.nodes.map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access }));
  return { nodes, rules: [...DEFAULT_RULES, ...ofNodes, ...(config.DeviceCgroupRules ?? []).map(parseDeviceRule)] };
}

/** `c 42:* rmw` */
export function parseDeviceRule(text: string): OciDeviceRule {
  const [, type, major, minor, access] = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined || access === undefined) throw new EngineError("invalid", `invalid device cgroup rule format: '${text}'`);
  const number = (digits: string | undefined): number => (digits === undefined || digits === "*" ? -1 : Number(digits));
  return { allow: true, type, major: number(major), minor: number(minor), access };
}
