import { mapOf, optional, string, struct } from "./decode.ts";

/** `POST /volumes/create` (Engine API 1.50). */
export const volumeCreate = struct("CreateOptions", {
  Name: string,
  Driver: string,
  DriverOpts: optional(mapOf(string)),
  Labels: optional(mapOf(string)),
  ClusterVolumeSpec: optional(struct("ClusterVolumeSpec", {})),
});
