import { isIPv6 } from "node:net";

import type { Endpoint, PortBinding } from "./networks.ts";

/** Who brings to a container what arrives at a published port: the kernel, with the client's address kept, or a proxy on the host. Pure. */
export type Addresses = Pick<Endpoint, "ipv4Address" | "ipv6Address">;

type HostSide = Pick<PortBinding, "hostAddress" | "containerPort">;

export function isForwarded({ hostAddress }: Pick<PortBinding, "hostAddress">, { ipv4Address, ipv6Address }: Addresses): boolean {
  return isIPv6(hostAddress) ? ipv6Address !== "" && !isOfOneLink(hostAddress) : ipv4Address !== "";
}

/**
 * Where a proxy sends what the kernel cannot forward: clients of the family that the container does not have, and those that no reply
 * could be routed to, from ::1 and from link-local addresses.
 */
export function proxyTarget(port: HostSide, addresses: Addresses): { address: string; port: number } | undefined {
  if (isForwarded(port, addresses) && port.hostAddress !== "::") return undefined;
  return { address: addresses.ipv6Address || addresses.ipv4Address, port: port.containerPort };
}

/** ::1 and fe80::/10. */
function isOfOneLink(address: string): boolean {
  return address === "::1" || /^fe[89ab][0-9a-f]:/i.test(address);
}
