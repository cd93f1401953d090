import type { NetworkRecord } from "./network-records.ts";

interface Candidate {
  network: Pick<NetworkRecord, "name" | "internal" | "driver">;
  request: { gatewayPriority: number };
}

/**
 * Of a container's networks the one that its default route goes by and that its ports are published on: the highest priority, then one
 * that leads outside, then the first by name (moby libnetwork, Endpoint.Less).
 */
export function chooseGateway<T extends Candidate>(candidates: readonly T[]): T | undefined {
  const [best] = candidates
    .filter(({ network }) => network.driver === "bridge")
    .toSorted(
      (a, b) =>
        b.request.gatewayPriority - a.request.gatewayPriority ||
        Number(a.network.internal) - Number(b.network.internal) ||
        (a.network.name < b.network.name ? -1 : 1),
    );
  return best;
}
