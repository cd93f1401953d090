import type { RemovedImage } from "../commands/rmi.ts";
import { print } from "../output/print.ts";
import { formatSize } from "../output/units.ts";
import type { Client, Query } from "./client.ts";

/** Removing what nothing uses, a call for each kind of thing. */
const KINDS = {
  container: { path: "/containers/prune", title: "Deleted Containers", list: "ContainersDeleted" },
  network: { path: "/networks/prune", title: "Deleted Networks", list: "NetworksDeleted" },
  volume: { path: "/volumes/prune", title: "Deleted Volumes", list: "VolumesDeleted" },
  image: { path: "/images/prune", title: "Deleted Images", list: "ImagesDeleted" },
  "build cache": { path: "/build/prune", title: "Deleted build cache objects", list: "CachesDeleted" },
} as const;

type Report = { readonly SpaceReclaimed?: number } & {
  readonly [kind in keyof typeof KINDS as (typeof KINDS)[kind]["list"]]?: readonly (string | RemovedImage)[] | null;
};

/** Prunes one kind and prints what went. Gives the bytes that came free. */
export async function prune(client: Client, kind: keyof typeof KINDS, query: Query): Promise<number> {
  const { path, title, list } = KINDS[kind];
  const report = await client.json<Report>("POST", path, { query });
  const gone = report[list] ?? [];
  if (gone.length > 0) print(`${title}:\n${gone.map((each) => `${nameOf(each)}\n`).join("")}\n`);
  return report.SpaceReclaimed ?? 0;
}

export function printReclaimed(bytes: number): void {
  print(`Total reclaimed space: ${formatSize(bytes, 4)}\n`);
}

function nameOf(gone: string | RemovedImage): string {
  if (typeof gone === "string") return gone;
  return gone.Untagged ? `untagged: ${gone.Untagged}` : `deleted: ${gone.Deleted}`;
}
