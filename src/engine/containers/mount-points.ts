import type { MountPoint } from "./container.ts";

/** A mount point in the shape of Engine API 1.50, MountPoint, as inspect and list show it. */
export function mountPointJson(mount: MountPoint): Record<string, unknown> {
  return {
    Type: mount.type,
    ...(mount.name === "" ? {} : { Name: mount.name }),
    Source: mount.source,
    Destination: mount.destination,
    ...(mount.driver === "" ? {} : { Driver: mount.driver }),
    Mode: mount.mode,
    RW: !mount.readOnly,
    Propagation: mount.propagation,
  };
}
