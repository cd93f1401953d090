import { encodeJson } from "../api/json.ts";
import { formatFileTime } from "../base/time.ts";
import type { PathStat } from "../engine/containers/containers.ts";

/** `X-Docker-Container-Path-Stat`: what is at a path of a container, with the bits of Go's FileMode. */
export function pathStatHeaders({ name, sizeBytes, type, mode, modified, linkTarget }: PathStat): Record<string, string> {
  const stat = {
    name: textOf(name),
    size: sizeBytes,
    mode: goMode(type, mode),
    mtime: formatFileTime(modified),
    linkTarget: textOf(linkTarget),
  };
  return { "X-Docker-Container-Path-Stat": Buffer.from(encodeJson(stat)).toString("base64") };
}

const GO_TYPES: Record<PathStat["type"], number> = {
  file: 0,
  directory: 2 ** 31,
  symlink: 2 ** 27,
  block: 2 ** 26,
  character: 2 ** 26 + 2 ** 21,
  fifo: 2 ** 25,
  socket: 2 ** 24,
};
/** Set-user-id, set-group-id, sticky: as the kernel has them, and as Go. */
const GO_BITS = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
] as const;

function goMode(type: PathStat["type"], mode: number): number {
  return GO_BITS.reduce((sum, [ours, theirs]) => sum + ((mode & ours) === 0 ? 0 : theirs), GO_TYPES[type] + (mode & 0o777));
}

/** Names are bytes in the kernel's calls (kernel/openat.ts). */
function textOf(binary: string): string {
  return Buffer.from(binary, "latin1").toString("utf8");
}
