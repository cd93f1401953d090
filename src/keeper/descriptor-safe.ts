import { closeSync } from "node:fs";

import { copyDescriptor, openPidfd } from "../kernel/pidfd.ts";
import { stopListening } from "../kernel/net/port-socket.ts";

/**
 * Descriptors of the daemon's that outlive it, by name: the sockets that hold published ports. While no daemon is there nobody else gets
 * the ports, and the next one goes on with the very same sockets.
 */
export class DescriptorSafe {
  readonly #kept = new Map<string, number>();

  keep(name: string, daemonPid: number, descriptor: number): void {
    const daemon = openPidfd(daemonPid);
    try {
      const copy = copyDescriptor(daemon, descriptor);
      this.drop(name);
      this.#kept.set(name, copy);
    } finally {
      closeSync(daemon);
    }
  }

  list(): { name: string; descriptor: number }[] {
    return [...this.#kept].map(([name, descriptor]) => ({ name, descriptor }));
  }

  drop(name: string): void {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    if (kept !== undefined) closeSync(kept);
  }

  /** Nobody accepts connections any more: clients are to be refused, not to wait. */
  stopListening(): void {
    for (const descriptor of this.#kept.values()) stopListening(descriptor);
  }
}
