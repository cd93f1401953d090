import type { Socket } from "node:net";

/**
 * The descriptor that a socket's bytes pass through as they are; undefined when it is closed, or encrypted. There is no public way to it as
 * of Node 24; e2e/attach.e2e.ts pins that this one works.
 */
export function descriptorOf(socket: Socket): number | undefined {
  if ("encrypted" in socket) return undefined;
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
