import { closeSync } from "node:fs";

import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { allowSuccessor, bindPort } from "../../kernel/net/port-socket.ts";
import type { PortBinding } from "./networks.ts";
import { openTcpForward, openUdpForward, type Forward } from "./port-forward.ts";

/**
 * Holds host ports so that nothing else takes them. A port whose packets the kernel forwards is held by a bound socket only; what it cannot
 * forward is served here. The sockets are kept in a safe too, where there is one, so that nobody gets the ports while no daemon is there.
 */
export interface PortHolder {
  /** Rejects with the kernel's error (`code` EADDRINUSE, EADDRNOTAVAIL, …). `target`: where to forward what arrives at the socket. */
  hold(port: HostPort, target: { address: string; port: number } | undefined): Promise<void>;
  /** Idempotent. */
  release(port: HostPort): Promise<void>;
  held(): HostPort[];
  /** Lets go of what an earlier daemon held and nobody has asked for since. */
  releaseLeft(): Promise<void>;
  /** Closes our sockets; those in the safe stay. */
  [Symbol.asyncDispose](): Promise<void>;
}

export type HostPort = Pick<PortBinding, "protocol" | "hostAddress" | "hostPort">;

/** Where descriptors outlive the daemon: the keeper. */
export interface DescriptorSafe {
  keepDescriptor(name: string, descriptor: number): Promise<void>;
  takeDescriptors(): Promise<Map<string, number>>;
  dropDescriptor(name: string): Promise<void>;
}

const nameOf = (port: HostPort): string => `${port.protocol} ${port.hostAddress} ${port.hostPort}`;

export async function openPortHolder(log: Log, safe?: DescriptorSafe): Promise<PortHolder> {
  const held = new Map<string, { port: HostPort; keeping: Promise<void>; close: () => Promise<void> }>();
  /** Of the daemon before us. */
  const left = (await safe?.takeDescriptors()) ?? new Map<string, number>();

  async function keep(name: string, descriptor: number): Promise<void> {
    try {
      await safe?.keepDescriptor(name, descriptor);
    } catch (error) {
      log.warn({ port: name, error: messageOf(error) }, "a port is not held while the daemon is down");
    }
  }

  return {
    async hold(port, target) {
      const name = nameOf(port);
      if (held.has(name)) return;
      const earlier = left.get(name);
      left.delete(name);
      const fd = earlier ?? bindPort({ protocol: port.protocol, address: port.hostAddress, port: port.hostPort });
      // Nobody waits for it: it is for later.
      const keeping = keep(name, fd);
      held.set(name, { port, keeping, close: async () => closeSync(fd) });
      if (target === undefined || port.protocol === "sctp") return;
      if (port.protocol === "tcp") allowSuccessor(fd);
      const forward: Forward =
        port.protocol === "tcp" ? await openTcpForward(fd, target) : await openUdpForward(fd, port.hostAddress, target);
      held.set(name, { port, keeping, close: () => forward.close() });
    },
    async release(port) {
      const name = nameOf(port);
      const holding = held.get(name);
      held.delete(name);
      if (holding === undefined) return;
      try {
        // Its number may be another's once it is closed.
        await holding.keeping;
        await safe?.dropDescriptor(name);
      } finally {
        await holding.close();
      }
    },
    held: () => [...held.values()].map(({ port }) => port),
    async releaseLeft() {
      for (const [name, descriptor] of left) {
        closeSync(descriptor);
        await safe?.dropDescriptor(name);
      }
      left.clear();
    },
    async [Symbol.asyncDispose]() {
      const all = [...held.values()];
      held.clear();
      await Promise.all(all.map(({ close }) => close()));
      for (const descriptor of left.values()) closeSync(descriptor);
      left.clear();
    },
  };
}
