import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

import { encodeJson } from "../../api/json.ts";
import { failpoint } from "../../base/failpoint.ts";
import { together } from "../../base/together.ts";
import type { Undo } from "../../base/undo.ts";
import { hastenMoves } from "../../kernel/cgroups.ts";
import { paths } from "../../store/roots.ts";
import { checkPropagation, ensureBindSources, readBindFacts } from "./bind-sources.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { lookUpDevices } from "./host-devices.ts";
import { keeperSpecOf } from "./keeper-spec.ts";
import { joinNetworks } from "./network-join.ts";
import type { JoinedNamespaces } from "./oci-namespaces.ts";
import type { OciMount } from "./oci-mounts.ts";
import { buildSpec } from "./oci-spec.ts";
import { removeBundle } from "./take-down.ts";
import { mountVolumes, needsMounting, unmountVolumes } from "./volume-mounts.ts";
import { resolveUser } from "./user.ts";

/** Where a container's root file system comes from. */
export interface RootSource {
  mount(target: string): Promise<void>;
  /** Not mounted: nothing to do. */
  unmount(target: string): Promise<void>;
}

export interface LaunchOptions {
  root: RootSource;
  joined: Pick<JoinedNamespaces, "ipc" | "pid">;
  /** Mounts beside those that the container's own config asks for, made last. */
  extraMounts?: OciMount[];
}

/**
 * Makes all that a container's first process needs, in the order in which it needs it, and starts it: root file system and network, bundle,
 * process. What was made is left to `undo`.
 */
export async function launch(
  context: ContainerContext,
  container: Container,
  undo: Undo,
  { root, joined, extraMounts = [] }: LaunchOptions,
): Promise<{ pid: number; startedAtNs: bigint }> {
  const { roots, keeper, networks } = context;
  const rootfs = paths.rootfs(roots, container.id);

  failpoint("containers.start.begin");
  void hastenMoves();
  undo.defer("removing the bundle", () => removeBundle(context, container.id));
  undo.defer("unmounting the root file system", () => root.unmount(rootfs));
  undo.defer("leaving the networks", () => networks.leave(container.id));
  const mount = async (): Promise<void> => {
    await mkdir(rootfs, { recursive: true, mode: 0o700 });
    await root.mount(rootfs);
  };
  const [, network] = await together(mount(), joinNetworks(context, container));
  failpoint("containers.start.mounted");
  await ensureBindSources(container);
  undo.defer("unmounting its volumes", () => (needsMounting(container) ? unmountVolumes(context, container) : undefined));
  const mounts = checkPropagation(needsMounting(container) ? await mountVolumes(context, container) : container.mounts, roots.data);

  const spec = buildSpec({
    container: { ...container, mounts },
    host: context.host,
    rootfsPath: rootfs,
    user: await resolveUser(rootfs, container.config.User, container.hostConfig.GroupAdd ?? []),
    devices: await lookUpDevices(container.hostConfig),
    binds: await readBindFacts(mounts),
    joined: { network: network.netnsPath, ...joined },
    files: network.files,
    linkEnvironment: network.environment,
    cgroupParent: context.settings.cgroupParent,
    initPath: context.settings.initPath,
    defaults: context.settings.defaults,
  });
  spec.mounts.push(...extraMounts);
  await writeFile(path.join(paths.bundle(roots, container.id), "config.json"), encodeJson(spec), { mode: 0o600 });
  failpoint("containers.start.bundle");

  return keeper.startContainer(keeperSpecOf(context, container, spec.linux.cgroupsPath));
}
