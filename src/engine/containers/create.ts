import { mkdir, rm } from "node:fs/promises";

import type { CreateBody } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { newId } from "../../base/ids.ts";
import { nowNs } from "../../base/time.ts";
import { Undo } from "../../base/undo.ts";
import { paths } from "../../store/roots.ts";
import type { Container } from "./container.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { checkCreate } from "./create-checks.ts";
import { resolveLinks } from "./links.ts";
import { prepareVolumes } from "./volume-mounts.ts";
import { checkName, randomName } from "./names.ts";

/** How often a random name is tried before a number is put behind it. */
const RANDOM_NAME_TRIES = 10;

/**
 * `POST /containers/create`. The row is the last thing made, so a crash leaves at most a folder and a writable layer that no row knows;
 * start-up deletes those.
 */
export async function create(
  context: ContainerContext,
  body: CreateBody,
  options: { name: string | undefined; platform: string | undefined },
): Promise<{ Id: string; Warnings: string[] }> {
  if (options.name !== undefined) checkName(options.name);
  const checked = await checkCreate({
    body,
    findImage: () => (body.Image === "" ? undefined : context.images.get(body.Image)),
    host: context.host,
    settings: context.settings,
    containers: context.set,
    dataRoot: context.roots.data,
  });
  const { image } = checked;

  const id = newId();
  await using undo = new Undo((message) => context.log.error({ container: id }, message));
  const name = reserveName(context, options.name, id);
  undo.defer("giving the name back", name.release);

  const container: Container = {
    id,
    name: name.name,
    createdNs: nowNs(),
    imageId: image?.id ?? "",
    chainId: image?.chainId,
    platform: "linux",
    config: {
      ...checked.config,
      Hostname: checked.config.Hostname || defaultHostname(context, checked.hostConfig.NetworkMode, checked.hostConfig.UTSMode, id),
    },
    hostConfig: checked.hostConfig,
    networking: checked.networking,
    command: checked.command,
    mounts: checked.mounts,
    links: resolveLinks(checked.hostConfig, (other) => context.set.find(other)),
    state: { status: "created", exitCode: 0, error: "" },
    restartCount: 0,
    stoppedByUser: false,
    beingRestarted: false,
  };

  failpoint("containers.create.begin");
  const folder = paths.container(context.roots, id);
  undo.defer("removing its folder", () => rm(folder, { recursive: true, force: true }));
  await mkdir(folder, { mode: 0o710 });
  undo.defer("removing its writable layer", () => context.layers.removeWritable(id));
  await context.layers.createWritable(id, container.chainId);
  failpoint("containers.create.layer");
  using _held = await prepareVolumes(context, container, undo);
  failpoint("containers.create.volumes");
  await context.set.add(container);
  failpoint("containers.create.saved");
  undo.keep();

  publishContainerEvent(context, container, "create");
  return { Id: id, Warnings: checked.warnings };
}

function reserveName(context: ContainerContext, asked: string | undefined, id: string): { name: string; release: () => void } {
  if (asked !== undefined) {
    const name = asked.replace(/^\//, "");
    return { name, ...context.set.reserveName(name, id) };
  }
  for (let attempt = 0; attempt < RANDOM_NAME_TRIES * 2; attempt += 1) {
    const name = randomName() + (attempt < RANDOM_NAME_TRIES ? "" : String(attempt));
    if (context.set.find(name) === undefined) return { name, ...context.set.reserveName(name, id) };
  }
  return { name: id, ...context.set.reserveName(id, id) };
}

/** Docker's: the host's own name where the UTS namespace or the network is the host's, else the short id. */
function defaultHostname(context: ContainerContext, networkMode: string, utsMode: string, id: string): string {
  if (networkMode.startsWith("container:")) {
    const other = context.set.find(networkMode.slice("container:".length));
    // Not `notFound`: clients would take it for a missing image and pull.
    if (other === undefined) throw new EngineError("invalid", `No such container: ${networkMode.slice("container:".length)}`);
    return other.config.Hostname;
  }
  return networkMode === "host" || utsMode === "host" ? context.host.hostname : id.slice(0, 12);
}
