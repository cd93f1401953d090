import { readFileSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import path from "node:path";

import { NAME_SERVER } from "../../kernel/net/name-sockets.ts";
import { paths } from "../../store/roots.ts";
import type { Endpoint } from "../networks/networks.ts";
import { isAsWritten, isResolvedStub, makeResolvConf, RESOLVED_FILE, type ResolvConf } from "../networks/resolv-conf.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { isUserDefined } from "./endpoint-requests.ts";

/**
 * Whom a container asks for names: the host's servers, or, on a user-defined network, its own at 127.0.0.11, which knows the others there.
 * One that had its own keeps it when it leaves the last such network, as with Docker: what runs in it may have read the file long ago.
 */

const RESOLV_CONF = "/etc/resolv.conf";
const LARGEST_FILE = 64 * 1024;

/** For a container that starts: writes its file and serves it names. `joined` is undefined where it shares the host's network. */
export async function openResolver(
  context: ContainerContext,
  container: Container,
  joined: readonly Endpoint[] | undefined,
): Promise<void> {
  const hasOwn = joined !== undefined && needsOwn(joined);
  const resolvConf = resolvConfOf(context, container, joined, hasOwn);
  await Promise.all([
    writeFile(fileOf(context, container), resolvConf.content),
    hasOwn ? context.networks.serveNames(container.id, resolvConf) : undefined,
  ]);
}

/** For one that runs: makes its name server agree with the networks it is on now. A file that somebody changed in it stays. */
export async function settleResolver(context: ContainerContext, container: Container): Promise<void> {
  const endpoints = context.networks.endpointsOf(container.id);
  const file = fileOf(context, container);
  const content = await readStart(file);
  const hadOwn = content.split("\n").includes(`nameserver ${NAME_SERVER}`);
  if (!hadOwn && !needsOwn(endpoints)) return;
  const resolvConf = resolvConfOf(context, container, endpoints, true);
  await context.networks.serveNames(container.id, resolvConf);
  if (!hadOwn && isAsWritten(content)) await writeFile(file, resolvConf.content);
}

function resolvConfOf(
  { settings }: ContainerContext,
  { hostConfig }: Container,
  joined: readonly Endpoint[] | undefined,
  hasOwn: boolean,
): ResolvConf {
  const hostContent = readIfThere(RESOLV_CONF);
  const hostPath = joined !== undefined && isResolvedStub(hostContent) ? RESOLVED_FILE : RESOLV_CONF;
  return makeResolvConf({
    hostContent: hostPath === RESOLV_CONF ? hostContent : readIfThere(hostPath),
    hostPath,
    servers: hostConfig.Dns?.length ? hostConfig.Dns : settings.dns.servers,
    search: hostConfig.DnsSearch?.length ? hostConfig.DnsSearch : settings.dns.search,
    options: hostConfig.DnsOptions?.length ? hostConfig.DnsOptions : settings.dns.options,
    hostNetwork: joined === undefined,
    hasIpv6: joined?.some(({ ipv6Address }) => ipv6Address !== ""),
    nameServer: hasOwn ? NAME_SERVER : undefined,
  });
}

function needsOwn(endpoints: readonly Endpoint[]): boolean {
  return endpoints.some(({ networkName }) => isUserDefined(networkName));
}

/** As much of a file as one of ours can have; what is larger, or gone, is none of ours. The container may have written anything to it. */
async function readStart(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LARGEST_FILE), 0, LARGEST_FILE, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } catch {
    return "";
  }
}

function fileOf({ roots }: ContainerContext, { id }: Container): string {
  return path.join(paths.container(roots, id), "resolv.conf");
}

/** The host's own small files, which are in its memory: faster here than by way of the thread pool. */
export function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
