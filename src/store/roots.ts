import { chmod, mkdir } from "node:fs/promises";
import path from "node:path";

/**
 * The two roots of a daemon, drawn once. Nothing else in the project joins these names.
 *
 *     DATA ROOT (durable, /var/lib/tsubo)            EXEC ROOT (volatile, /run/tsubo)
 *       lock               held while we run           tsubo.sock, tsubo.pid    the API
 *       state.db           SQLite, WAL                 keeper.sock              the keeper's protocol
 *       content/blobs/sha256/HEX   verified            keeper.log               what the keeper had to say
 *       content/partial/HEX        downloads           keeper.lock              held while a keeper runs
 *       spill/             unnamed files: output that  runtime/                 the OCI runtime's --root
 *                          slow clients have not read  seccomp/HASH.bpf         compiled filters
 *       layers/RANDOM/     image layers: diff/, init/         netns/ID                 network namespaces
 *       layers-trash/      removed, not yet deleted    containers/ID/           bundle of a container that runs:
 *       containers/ID/                                   config.json, rootfs/ (mount point), stdin, stdout,
 *         rw/diff, rw/work the writable layer            stderr (FIFOs), keeper.json (what the keeper was told)
 *         ID-json.log      its output                  pty/                     console sockets (short paths)
 *         exit.json        how it ended, durable
 *         hostname, hosts, resolv.conf
 *       volumes/NAME/_data
 *       volumes-filling/RANDOM   content of images on its way into volumes
 *       storage-driver     the name of the driver that made the layers
 *       scratch/diff       what an overlay lies over that has nothing below it
 *       cache-mounts/HASH/ what RUN --mount=type=cache keeps: data/ and, in use.json, whose it is
 *       stat-caches/HASH   sums of a local context's files, by what the kernel says of them
 *       builds/ID/         a build under way: its context (an archive and its index), mount points
 */
export interface Roots {
  data: string;
  exec: string;
}

export const paths = {
  lock: (roots: Roots): string => path.join(roots.data, "lock"),
  storageDriver: (roots: Roots): string => path.join(roots.data, "storage-driver"),
  database: (roots: Roots): string => path.join(roots.data, "state.db"),
  blobs: (roots: Roots): string => path.join(roots.data, "content/blobs/sha256"),
  partialBlobs: (roots: Roots): string => path.join(roots.data, "content/partial"),
  packedLayers: (roots: Roots): string => path.join(roots.data, "content/packed"),
  layers: (roots: Roots): string => path.join(roots.data, "layers"),
  layersTrash: (roots: Roots): string => path.join(roots.data, "layers-trash"),
  containers: (roots: Roots): string => path.join(roots.data, "containers"),
  container: (roots: Roots, id: string): string => path.join(roots.data, "containers", id),
  containerWritable: (roots: Roots, id: string): string => path.join(roots.data, "containers", id, "rw"),
  containerLog: (roots: Roots, id: string): string => path.join(roots.data, "containers", id, `${id}-json.log`),
  containerExit: (roots: Roots, id: string): string => path.join(roots.data, "containers", id, "exit.json"),
  scratch: (roots: Roots): string => path.join(roots.data, "scratch"),
  volumes: (roots: Roots): string => path.join(roots.data, "volumes"),
  volumesFilling: (roots: Roots): string => path.join(roots.data, "volumes-filling"),
  volume: (roots: Roots, name: string): string => path.join(roots.data, "volumes", name),
  builds: (roots: Roots): string => path.join(roots.data, "builds"),
  build: (roots: Roots, id: string): string => path.join(roots.data, "builds", id),
  cacheMounts: (roots: Roots): string => path.join(roots.data, "cache-mounts"),
  statCaches: (roots: Roots): string => path.join(roots.data, "stat-caches"),
  buildSecrets: (roots: Roots): string => path.join(roots.exec, "secrets"),
  keeperSocket: (roots: Roots): string => path.join(roots.exec, "keeper.sock"),
  keeperLog: (roots: Roots): string => path.join(roots.exec, "keeper.log"),
  keeperLock: (roots: Roots): string => path.join(roots.exec, "keeper.lock"),
  seccompFilters: (roots: Roots): string => path.join(roots.exec, "seccomp"),
  spill: (roots: Roots): string => path.join(roots.data, "spill"),
  runtime: (roots: Roots): string => path.join(roots.exec, "runtime"),
  netns: (roots: Roots): string => path.join(roots.exec, "netns"),
  bundles: (roots: Roots): string => path.join(roots.exec, "containers"),
  bundle: (roots: Roots, id: string): string => path.join(roots.exec, "containers", id),
  rootfs: (roots: Roots, id: string): string => path.join(roots.exec, "containers", id, "rootfs"),
  pty: (roots: Roots): string => path.join(roots.exec, "pty"),
};

const FOLDERS = [
  paths.blobs,
  paths.partialBlobs,
  paths.packedLayers,
  paths.layers,
  paths.layersTrash,
  paths.containers,
  paths.volumes,
  paths.volumesFilling,
  paths.builds,
  paths.cacheMounts,
  paths.statCaches,
  paths.buildSecrets,
  paths.runtime,
  paths.netns,
  paths.bundles,
  paths.pty,
];

/** Makes every folder both roots need. The roots themselves are closed to other users (CVE-2021-41091). */
export async function ensureRoots(roots: Roots): Promise<void> {
  for (const root of [roots.data, roots.exec]) {
    await mkdir(root, { recursive: true, mode: 0o711 });
    await chmod(root, 0o711);
  }
  for (const folder of FOLDERS) await mkdir(folder(roots), { recursive: true, mode: 0o700 });
  await mkdir(path.join(paths.scratch(roots), "diff"), { recursive: true, mode: 0o755 });
}
