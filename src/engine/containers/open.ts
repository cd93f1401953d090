import { messageOf } from "../../base/errors.ts";
import type { KeeperEvent } from "../../keeper/keeper.ts";
import { readArchive, statPath, writeArchive } from "./archive.ts";
import { attach, logs } from "./attach.ts";
import { commit } from "./commit.ts";
import { connectNetwork, disconnectNetwork } from "./connect-network.ts";
import type { Containers } from "./containers.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { create } from "./create.ts";
import { execCreate, execInspect, execResize, execStart, handleExecExit } from "./exec.ts";
import { openExecSet } from "./exec-set.ts";
import { changes, exportTree } from "./export.ts";
import { handleExit } from "./exits.ts";
import { inspectContainer } from "./inspect.ts";
import { listContainers } from "./list.ts";
import { pause, unpause } from "./pause.ts";
import { prune } from "./prune.ts";
import { remove } from "./remove.ts";
import { rename } from "./rename.ts";
import { resize } from "./resize.ts";
import { restore } from "./restore.ts";
import { start } from "./start.ts";
import { runStep } from "./run-step.ts";
import { kill, restart, stop } from "./stop.ts";
import { top } from "./top.ts";
import { wait } from "./wait.ts";
import { openWaiters } from "./waiters.ts";

/** Restores what was there and opens the verbs. From here on the keeper's reports are followed. */
export async function openContainers(given: Omit<ContainerContext, "waiters" | "execs" | "steps">): Promise<Containers> {
  const context: ContainerContext = { ...given, waiters: openWaiters(), execs: openExecSet(), steps: new Map() };
  await restore(context);
  context.keeper.subscribe((event) => {
    follow(context, event).catch((error: unknown) => {
      context.log.error({ event, error: messageOf(error) }, "following a report of the keeper");
    });
  });

  return {
    create: (body, options) => create(context, body, options),
    start: (name) => start(context, name),
    stop: (name, options, signal) => stop(context, name, options, signal),
    restart: (name, options, signal) => restart(context, name, options, signal),
    kill: (name, signalName) => kill(context, name, signalName),
    pause: (name) => pause(context, name),
    unpause: (name) => unpause(context, name),
    rename: (name, newName) => rename(context, name, newName),
    remove: (name, options) => remove(context, name, options),
    connectNetwork: (network, name, settings) => connectNetwork(context, network, name, settings),
    disconnectNetwork: (network, name, force) => disconnectNetwork(context, network, name, force),
    prune: (filters) => prune(context, filters),
    wait: (name, condition, signal) => wait(context, name, condition, signal),
    commit: (name, request, signal) => commit(context, name, request, signal),
    changes: (name, signal) => changes(context, name, signal),
    export: (name, signal) => exportTree(context, name, signal),
    statPath: (name, path, signal) => statPath(context, name, path, signal),
    readArchive: (name, path, signal) => readArchive(context, name, path, signal),
    writeArchive: (name, target, archive, signal) => writeArchive(context, name, target, archive, signal),
    list: (options) => listContainers(context, options),
    inspect: (name, options) => inspectContainer(context, name, options),
    top: (name, psArguments) => top(context, name, psArguments),
    resize: (name, size) => resize(context, name, size),
    attach: (name, options) => attach(context, name, options),
    logs: (name, options, signal) => logs(context, name, options, signal),
    runStep: (request, signal) => runStep(context, request, signal),
    execCreate: (name, config) => execCreate(context, name, config),
    execStart: (execId, options) => execStart(context, execId, options),
    execInspect: (execId) => execInspect(context, execId),
    execResize: (execId, size) => execResize(context, execId, size),
  };
}

async function follow(context: ContainerContext, event: KeeperEvent): Promise<void> {
  if (event.type === "exit") context.steps.get(event.containerId)?.(event.exit);
  const container = context.set.find(event.containerId);
  if (container === undefined) return;
  switch (event.type) {
    case "exit":
      await handleExit(context, container, event.exit);
      return;
    case "execExit":
      handleExecExit(context, event.execId, event.exit.exitCode);
      return;
    case "oom":
      publishContainerEvent(context, container, "oom");
      return;
  }
}
