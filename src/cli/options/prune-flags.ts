import type { Flag } from "../arguments.ts";
import { filterFlag } from "./filters.ts";

/** What every `prune` takes. */
export const pruneFlags: readonly Flag[] = [
  filterFlag("Only those that fit: until=24h, label=, label!="),
  { name: "force", short: "f", kind: "boolean", usage: "Do not ask" },
];
