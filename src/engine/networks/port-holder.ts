import { closeSync } from "node:fs";

import { allowSuccessor, bindPort } from "../../kernel/net/port-socket.ts";
import type { PortBinding } from "./networks.ts";
import { openTcpForward, openUdpForward, type Forward } from "./port-forward.ts";

/**
 * Holds host ports so that nothing else takes them. For now in the daemon itself; whoever holds them elsewhere implements this.
 *
 * A port whose packets the kernel forwards is held by a bound socket only; what it cannot forward is served here.
 */
export interface PortHolder {
  /** Rejects with the kernel's error (`code` EADDRINUSE, EADDRNOTAVAIL, …). `target`: where to forward what arrives at the socket. */
  hold(port: HostPort, target: { address: string; port: number } | undefined): Promise<void>;
  /** Idempotent. */
  release(port: HostPort): Promise<void>;
  held(): Promise<HostPort[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type HostPort = Pick<PortBinding, "protocol" | "hostAddress" | "hostPort">;

export function openPortHolder(): PortHolder {
  const held = new Map<string, { port: HostPort; close: () => Promise<void> }>();
  const keyOf = (port: HostPort): string => `${port.protocol} ${port.hostAddress} ${port.hostPort}`;

  return {
    async hold(port, target) {
      if (held.has(keyOf(port))) return;
      const fd = bindPort({ protocol: port.protocol, address: port.hostAddress, port: port.hostPort });
      if (target === undefined || port.protocol === "sctp") {
        held.set(keyOf(port), { port, close: async () => closeSync(fd) });
        return;
      }
      if (port.protocol === "tcp") allowSuccessor(fd);
      const forward: Forward =
        port.protocol === "tcp" ? await openTcpForward(fd, target) : await openUdpForward(fd, port.hostAddress, target);
      held.set(keyOf(port), { port, close: () => forward.close() });
    },
    async release(port) {
      const holding = held.get(keyOf(port));
      held.delete(keyOf(port));
      await holding?.close();
    },
    held: async () => [...held.values()].map(({ port }) => port),
    async [Symbol.asyncDispose]() {
      const all = [...held.values()];
      held.clear();
      await Promise.all(all.map(({ close }) => close()));
    },
  };
}
