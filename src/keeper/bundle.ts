import { readFileSync } from "node:fs";
import path from "node:path";

/** True when a bundle's container may not use all the memory there is. */
export function hasMemoryLimit(bundlePath: string): boolean {
  // The runtime-spec's shape, as the daemon wrote it.
  const config = JSON.parse(readFileSync(path.join(bundlePath, "config.json"), "utf8")) as {
    linux?: { resources?: { memory?: { limit?: number } } };
  };
  return (config.linux?.resources?.memory?.limit ?? 0) > 0;
}
