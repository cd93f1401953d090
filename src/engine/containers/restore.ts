import { readdir, readFile, rm } from "node:fs/promises";

import { execConfig } from "../../api/container-config.ts";
import { parseJson } from "../../api/json.ts";
import { codeOf, messageOf } from "../../base/errors.ts";
import { nowNs } from "../../base/time.ts";
import type { Exit, KeptContainer } from "../../keeper/keeper.ts";
import { paths } from "../../store/roots.ts";
import { reconcileNetworks } from "./connect-network.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { handleExit } from "./exits.ts";
import { removeLocked } from "./remove.ts";
import { endUnrecorded } from "./start.ts";
import { removeBundle, takeDown } from "./take-down.ts";
import { unmountVolumes } from "./volume-mounts.ts";

/** Exit code of a container whose end nobody saw, as Docker has it. */
const UNKNOWN_EXIT_CODE = 255;

/**
 * Brings the containers in line with what is really there, after a clean stop, a crash or a reboot alike: the database says what was
 * acknowledged, the keeper what runs, the exit records how the rest ended. Whatever neither explains is removed.
 */
export async function restore(context: ContainerContext): Promise<void> {
  const kept = new Map((await context.keeper.list()).map((item) => [item.id, item]));
  const running: string[] = [];
  for (const [id, item] of kept) if (item.exit === undefined && context.set.find(id) !== undefined) running.push(id);
  await context.networks.restore(running);

  const bundles = new Set(await readdir(paths.bundles(context.roots)));
  for (const container of context.set.all()) {
    try {
      await restoreContainer(context, container, kept.get(container.id), bundles.has(container.id));
    } catch (error) {
      context.log.error({ container: container.id, error: messageOf(error) }, "restoring a container");
    }
  }
  await sweep(context, kept);
  await context.volumes.restore(running);
}

async function restoreContainer(
  context: ContainerContext,
  container: Container,
  kept: KeptContainer | undefined,
  hasBundle: boolean,
): Promise<void> {
  for (const exec of kept?.execs ?? []) {
    const state = exec.exit === undefined ? ({ status: "running", pid: exec.pid } as const) : ({ status: "created" } as const);
    const config = execConfig.decode(parseJson(exec.memo), "");
    context.execs.add({ id: exec.id, containerId: container.id, config, user: undefined }, state);
    if (exec.exit !== undefined) context.execs.exited(exec.id, exec.exit.exitCode);
  }
  if (container.state.status === "removing") {
    await takeDown(context, container);
    await removeLocked(context, container);
    return;
  }
  if (kept !== undefined) {
    // Started, and perhaps not yet written down when the daemon died.
    const paused = container.state.status === "running" && container.state.paused;
    container.state = { status: "running", pid: kept.pid, startedAtNs: kept.startedAtNs, paused };
    await context.set.save(container);
    await reconcileNetworks(context, container);
    if (kept.exit !== undefined) await handleExit(context, container, kept.exit);
    return;
  }
  if (container.state.status === "running") {
    await handleExit(context, container, await readExit(context, container));
    return;
  }
  // A start that was cut short.
  if (hasBundle) await takeDown(context, container);
  if (container.hostConfig.AutoRemove && container.state.status === "exited") await removeLocked(context, container);
}

/** The exit record the keeper left, if it belongs to this run. */
async function readExit(context: ContainerContext, container: Container): Promise<Exit> {
  const startedAtNs = container.state.status === "running" ? container.state.startedAtNs : 0n;
  try {
    const record: { exitCode: number; finishedAtNs: string; oomKilled: boolean; error?: string } = JSON.parse(
      await readFile(paths.containerExit(context.roots, container.id), "utf8"),
    );
    const finishedAtNs = BigInt(record.finishedAtNs);
    if (finishedAtNs >= startedAtNs) return { ...record, finishedAtNs };
  } catch (error) {
    if (codeOf(error) !== "ENOENT") context.log.warn({ container: container.id, error: messageOf(error) }, "reading an exit record");
  }
  return {
    exitCode: UNKNOWN_EXIT_CODE,
    finishedAtNs: nowNs(),
    oomKilled: false,
    error: "it ended while neither daemon nor keeper was there to see it",
  };
}

/** Deletes what no row of the database knows: half-made containers, bundles of containers that are gone. */
async function sweep(context: ContainerContext, kept: Map<string, KeptContainer>): Promise<void> {
  for (const id of kept.keys()) {
    if (context.set.find(id) !== undefined) continue;
    context.log.warn({ container: id }, "ending a build's step, or a start that was cut short");
    await endUnrecorded(context, id);
    kept.delete(id);
  }
  for (const id of await readdir(paths.containers(context.roots))) {
    if (context.set.find(id) !== undefined || kept.has(id)) continue;
    await context.layers.removeWritable(id);
    await rm(paths.container(context.roots, id), { recursive: true, force: true });
  }
  for (const id of await readdir(paths.bundles(context.roots))) {
    if (kept.has(id) || context.set.find(id) !== undefined) continue;
    await context.layers.unmountWritable(paths.rootfs(context.roots, id));
    await unmountVolumes(context, { id, mounts: [] });
    await removeBundle(context, id);
  }
}
