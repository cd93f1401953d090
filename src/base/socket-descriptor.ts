import type { Socket } from "node:net";

/**
 * A socket's descriptor; undefined when it is closed or has none of its own (TLS). There is no public way to it as of Node 24;
 * e2e/attach.e2e.ts pins that this one works.
 */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
