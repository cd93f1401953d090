import type { Flags } from "../arguments.ts";
import { cut, isMacAddress, parseCsv } from "./values.ts";

/**
 * `--network NAME` or `--network name=NAME,alias=…,ip=…,…`, and the older flags that speak of the first network (`--ip`, `--link`,
 * `--network-alias`, `--mac-address`, `--link-local-ip`).
 */

type Attachment = {
  target: string;
  aliases: string[];
  links: string[];
  ipv4: string;
  ipv6: string;
  mac: string;
  linkLocal: string[];
  driverOptions: Record<string, string>;
  gatewayPriority: number;
};

export type EndpointSettings = {
  IPAMConfig: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] } | null;
  Links: string[] | null;
  Aliases: string[] | null;
  DriverOpts: Record<string, string> | null;
  GwPriority?: number;
  MacAddress?: string;
};

export type NetworkOptions = { readonly mode: string; readonly endpoints: Record<string, EndpointSettings> };

/** The container's network mode and its endpoints. */
export function parseNetworks(flags: Flags): NetworkOptions {
  const given = flags.list("network").map(parseAttachment);
  const attachments = given.length === 0 ? [plain("default")] : given;
  const endpoints: Record<string, EndpointSettings> = {};
  for (const [index, attachment] of attachments.entries()) {
    if (index === 0) applyOldFlags(attachment, flags);
    const endpoint = toEndpoint(attachment);
    if (endpoints[attachment.target] !== undefined)
      throw new Error(`network ${JSON.stringify(attachment.target)} is specified multiple times`);
    // A single network without options of its own is left to the mode, as older engines know it.
    if (given.length === 1 && isPlain(endpoint) && endpoint.Aliases === null) continue;
    endpoints[attachment.target] = endpoint;
  }
  if (given.some(({ target }) => isUserDefined(target)) && given.some(({ target }) => !isUserDefined(target))) {
    throw new Error("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
  }
  return { mode: attachments[0]?.target ?? "default", endpoints };
}

function isUserDefined(mode: string): boolean {
  return !["default", "bridge", "host", "none", "nat"].includes(mode) && !mode.startsWith("container:") && mode !== "container";
}

function plain(target: string): Attachment {
  return { target, aliases: [], links: [], ipv4: "", ipv6: "", mac: "", linkLocal: [], driverOptions: {}, gatewayPriority: 0 };
}

/** Checks the value of one `--network` where the command line is parsed. */
export function checkNetwork(text: string): string {
  parseAttachment(text);
  return text;
}

export function checkLink(value: string): string {
  if (value === "") throw new Error("empty string specified for links");
  if (value.split(":").length > 2) throw new Error(`bad format for links: ${value}`);
  return value;
}

function parseAttachment(text: string): Attachment {
  if (!/\w+=\w+(,\w+=\w+)*/.test(text)) return plain(text);
  const attachment = plain("");
  for (const field of parseCsv(text)) {
    const [rawKey, rawValue] = cut(field.toLowerCase(), "=");
    if (rawValue === undefined || rawKey === "") throw new Error(`invalid field ${field}`);
    const value = rawValue.trim();
    const key = rawKey.trim();
    if (key === "name") attachment.target = value;
    else if (key === "alias") attachment.aliases.push(value);
    else if (key === "ip") attachment.ipv4 = value;
    else if (key === "ip6") attachment.ipv6 = value;
    else if (key === "mac-address") attachment.mac = value;
    else if (key === "link-local-ip") attachment.linkLocal.push(value);
    else if (key === "driver-opt") {
      const [option, setting] = cut(value, "=");
      if (setting === undefined || option === "") throw new Error("invalid key value pair format in driver options");
      attachment.driverOptions[option.trim()] = setting.trim();
    } else if (key === "gw-priority") {
      if (!/^[+-]?\d+$/.test(value)) throw new Error(`invalid gw-priority (${value}): invalid syntax`);
      attachment.gatewayPriority = Number(value);
    } else throw new Error(`invalid field key ${key}`);
  }
  if (attachment.target === "") throw new Error("network name/id is not specified");
  return attachment;
}

function applyOldFlags(attachment: Attachment, flags: Flags): void {
  const conflict = (flag: string, what: string): Error =>
    new Error(`conflicting options: cannot specify both --${flag} and per-network ${what}`);
  const aliases = flags.list("network-alias");
  const links = flags.list("link");
  const linkLocal = flags.list("link-local-ip");
  const [ipv4, ipv6, mac] = [flags.text("ip"), flags.text("ip6"), flags.text("mac-address")];
  if (attachment.aliases.length > 0 && aliases.length > 0) throw conflict("network-alias", "alias");
  if (attachment.ipv4 !== "" && ipv4 !== "") throw conflict("ip", "IPv4 address");
  if (attachment.ipv6 !== "" && ipv6 !== "") throw conflict("ip6", "IPv6 address");
  if (attachment.mac !== "" && mac !== "") throw conflict("mac-address", "MAC address");
  if (attachment.linkLocal.length > 0 && linkLocal.length > 0) throw conflict("link-local-ip", "link-local IP addresses");
  if (aliases.length > 0) attachment.aliases = aliases;
  if (isUserDefined(attachment.target) && links.length > 0) attachment.links = links;
  attachment.ipv4 ||= ipv4;
  attachment.ipv6 ||= ipv6;
  attachment.mac ||= mac;
  if (linkLocal.length > 0) attachment.linkLocal = linkLocal;
}

function toEndpoint(attachment: Attachment): EndpointSettings {
  if (attachment.target.trim() === "") throw new Error("no name set for network");
  if (!isUserDefined(attachment.target)) {
    if (attachment.aliases.length > 0) throw new Error("network-scoped aliases are only supported for user-defined networks");
    if (attachment.links.length > 0) throw new Error("links are only supported for user-defined networks");
  }
  if (attachment.mac !== "" && !isMacAddress(attachment.mac)) throw new Error(`${attachment.mac} is not a valid mac address`);
  const { ipv4, ipv6, linkLocal, driverOptions } = attachment;
  const hasAddress = ipv4 !== "" || ipv6 !== "" || linkLocal.length > 0;
  return {
    IPAMConfig: hasAddress
      ? { ...(ipv4 && { IPv4Address: ipv4 }), ...(ipv6 && { IPv6Address: ipv6 }), ...(linkLocal.length > 0 && { LinkLocalIPs: linkLocal }) }
      : null,
    Links: attachment.links.length > 0 ? attachment.links : null,
    Aliases: attachment.aliases.length > 0 ? attachment.aliases : null,
    DriverOpts: Object.keys(driverOptions).length > 0 ? driverOptions : null,
    ...(attachment.gatewayPriority !== 0 && { GwPriority: attachment.gatewayPriority }),
    ...(attachment.mac !== "" && { MacAddress: attachment.mac }),
  };
}

function isPlain(endpoint: EndpointSettings): boolean {
  return Object.values(endpoint).every((value) => value === null);
}
