import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { Undo } from "../../base/undo.ts";
import type { MountTree, TreeMount } from "../../kernel/mount-tree.ts";
import { NO_TREE } from "../../store/archive/job.ts";
import { JobError } from "../../store/child/serve.ts";
import { paths } from "../../store/roots.ts";
import { ensureBindSources } from "./bind-sources.ts";
import { refuseIfGoing } from "./commit.ts";
import { isRunning, type Container, type MountPoint } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { networkFilesOf } from "./network-join.ts";
import { removeBundle } from "./take-down.ts";
import { mountVolumes, unmountVolumes } from "./volume-mounts.ts";

/**
 * A container's files as it sees them: root file system, volumes, binds, tmpfs. Of one that runs they are taken from where its process has
 * them mounted; one that does not run has them mounted for as long as they are used, and cannot start or go meanwhile.
 */
export async function withContainerTree<T>(
  context: ContainerContext,
  container: Container,
  options: { readOnly: boolean },
  use: (tree: MountTree) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      if (container.state.status === "running") return await use(treeOfProcess(context, container, container.state.pid, options));
      const done = await context.set.locked(container, () => withStopped(context, container, options, use));
      if (done !== STARTED) return done;
    } catch (error) {
      const pauseMs = ENDING_PAUSES_MS[attempt];
      if (!(error instanceof JobError) || error.details[NO_TREE] !== true || pauseMs === undefined) throw error;
      // Its process has ended, and we are about to hear of it.
      await pause(pauseMs);
    }
  }
}

const STARTED = Symbol("it has been started meanwhile");
const ENDING_PAUSES_MS = [10, 50, 200, 1000];

function treeOfProcess(context: ContainerContext, container: Container, pid: number, { readOnly }: { readOnly: boolean }): MountTree {
  const tmpfs = [...(container.hostConfig.Tmpfs?.keys() ?? [])].map((target) => path.posix.resolve(target));
  const targets = [...container.mounts.map(({ destination }) => destination), ...tmpfs, ...Object.keys(NETWORK_FILES)];
  const rootfs = paths.rootfs(context.roots, container.id);
  return {
    place: rootfs,
    process: pid,
    root: rootfs,
    mounts: outerFirst(targets.map((target) => ({ target, readOnly: false }))),
    readOnly,
    readOnlyRoot: container.hostConfig.ReadonlyRootfs,
  };
}

async function withStopped<T>(
  context: ContainerContext,
  container: Container,
  { readOnly }: { readOnly: boolean },
  use: (tree: MountTree) => Promise<T>,
): Promise<T | typeof STARTED> {
  const { layers, roots, log } = context;
  const { id, chainId } = container;
  if (context.set.find(id) === undefined) throw new EngineError("notFound", `No such container: ${id}`);
  refuseIfGoing(container, "copy");
  if (isRunning(container)) return STARTED;
  await using undo = new Undo((message) => log.error({ container: id }, message));
  const rootfs = paths.rootfs(roots, id);
  undo.defer("removing the bundle", () => removeBundle(context, id));
  await mkdir(rootfs, { recursive: true, mode: 0o700 });
  undo.defer("unmounting the root file system", () => layers.unmountWritable(rootfs));
  await layers.mountWritable(id, chainId, rootfs);
  failpoint("containers.copy.mounted");
  undo.defer("unmounting the volumes", () => unmountVolumes(context, container));
  await ensureBindSources(container);
  const mounts = [...(await mountVolumes(context, container)).flatMap(boundMount), ...networkFiles(context, container)];
  failpoint("containers.copy.volumes");
  return await use({
    place: rootfs,
    root: rootfs,
    mounts: outerFirst(mounts),
    readOnly,
    readOnlyRoot: container.hostConfig.ReadonlyRootfs,
  });
}

function boundMount({ type, source, destination, readOnly }: MountPoint): TreeMount[] {
  return type === "tmpfs" ? [] : [{ target: destination, source, readOnly }];
}

const NETWORK_FILES = { "/etc/hosts": "hosts", "/etc/hostname": "hostname", "/etc/resolv.conf": "resolvConf" } as const;

/** Those of its last run. */
function networkFiles(context: ContainerContext, container: Container): TreeMount[] {
  const files = networkFilesOf(context, container.id);
  return Object.entries(NETWORK_FILES).flatMap(([target, name]) => {
    const source = files[name];
    return source !== undefined && existsSync(source) ? [{ target, source, readOnly: false }] : [];
  });
}

function outerFirst(mounts: TreeMount[]): TreeMount[] {
  return mounts.toSorted((a, b) => a.target.split("/").length - b.target.split("/").length);
}
