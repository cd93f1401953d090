import type { ExecConfig, ExecStart } from "../../api/container-config.ts";
import { encodeJson } from "../../api/json.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import { hastenMoves } from "../../kernel/cgroups.ts";
import { paths } from "../../store/roots.ts";
import { statusOf, type Container } from "./container.ts";
import type { Session } from "./containers.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { buildExecProcess } from "./exec-process.ts";
import type { Exec } from "./exec-set.ts";
import { runtimeOf } from "./keeper-spec.ts";
import { activeLinksIfAny, linkEnvironment } from "./links.ts";
import { endingAfter, withDetachKeys } from "./session-stream.ts";
import { startExitCode } from "./start.ts";
import { resolveUser, type ProcessUser } from "./user.ts";

/** `POST /containers/{id}/exec` */
export async function execCreate(context: ContainerContext, name: string, config: ExecConfig): Promise<{ Id: string }> {
  const container = context.set.get(name);
  checkExecutable(container, name);
  // It is started at once, as a rule.
  void hastenMoves();
  if (config.Cmd === undefined || config.Cmd.length === 0) throw new EngineError("invalid", "No exec command specified");
  parseDetachKeys(config.DetachKeys === "" ? undefined : config.DetachKeys);
  const user = await userOf(context, container, config).catch((error: unknown) => {
    throw new EngineError("invalid", messageOf(error), { cause: error });
  });
  const exec = context.execs.add({ id: newId(), containerId: container.id, config, user });
  publishExecEvent(context, exec, "exec_create");
  return { Id: exec.id };
}

/**
 * `POST /exec/{id}/start`. Attached: the session is there before the process is, so that nothing it says is lost; a process that cannot be
 * made says so in the stream, as Docker does, and its exit code tells the CLI. Detached: such an error is the answer.
 */
export async function execStart(
  context: ContainerContext,
  execId: string,
  options: ExecStart & { canHandOver: boolean },
): Promise<Session | undefined> {
  const exec = context.execs.get(execId);
  const container = context.set.get(exec.containerId);
  if (exec.state.status === "exited") throw new EngineError("conflict", `exec command ${execId} has already run`);
  if (exec.state.status !== "created") throw new EngineError("conflict", `exec command ${execId} is already running`);
  checkExecutable(container, container.id);
  const { config } = exec;
  const launching = Promise.withResolvers<void>();
  exec.state = { status: "starting", over: launching.promise };
  const begin = (): Promise<void> => launch(context, container, exec, options).finally(launching.resolve);

  if (options.Detach) {
    await begin();
    return undefined;
  }
  const target = { containerId: container.id, execId };
  const streams = { stdin: config.AttachStdin, stdout: config.AttachStdout, stderr: config.AttachStderr };
  /** Once the session is there: what goes wrong from here on is told in it, by the keeper. */
  const beginWith = async <T>(join: () => Promise<T>): Promise<T> => {
    try {
      const joined = await join();
      begin().catch((error: unknown) => context.log.debug({ exec: execId, error: messageOf(error) }, "an exec could not start"));
      return joined;
    } catch (error) {
      context.execs.exited(execId, 126);
      launching.resolve();
      throw error;
    }
  };
  if (options.canHandOver && !(config.Tty && config.AttachStdin)) {
    return { tty: config.Tty, handOver: (seize) => beginWith(() => context.keeper.handOver(target, streams, seize())) };
  }
  const stream = endingAfter(await beginWith(() => context.keeper.attach(target, streams)), exec.ended);
  if (!config.Tty || !config.AttachStdin) return { tty: config.Tty, stream };
  const keys = parseDetachKeys(config.DetachKeys || undefined);
  return { tty: config.Tty, stream: withDetachKeys(stream, keys, () => publishExecEvent(context, exec, "exec_detach")) };
}

export function execInspect(context: ContainerContext, execId: string): Record<string, unknown> {
  const exec = context.execs.get(execId);
  const container = context.set.get(exec.containerId);
  const { config, state } = exec;
  const [entrypoint = "", ...argumentList] = config.Cmd ?? [];
  return {
    ID: exec.id,
    Running: state.status === "running",
    ExitCode: state.status === "exited" ? state.exitCode : null,
    ProcessConfig: {
      tty: config.Tty,
      entrypoint,
      arguments: argumentList,
      privileged: config.Privileged,
      ...(config.User === "" ? {} : { user: config.User }),
    },
    OpenStdin: config.AttachStdin,
    OpenStderr: config.AttachStderr,
    OpenStdout: config.AttachStdout,
    CanRemove: state.status === "exited",
    ContainerID: container.id,
    DetachKeys: config.DetachKeys,
    Pid: state.status === "running" || state.status === "exited" ? state.pid : 0,
  };
}

export async function execResize(context: ContainerContext, execId: string, size: { rows: number; columns: number }): Promise<void> {
  const exec = context.execs.get(execId);
  // Clients send the size right after the start, before there is a terminal.
  if (exec.state.status === "starting") await exec.state.over;
  if (exec.state.status !== "running") {
    throw new EngineError("conflict", `cannot resize exec ${execId}: it is not running`);
  }
  await context.keeper.resize({ containerId: exec.containerId, execId }, size);
}

function checkExecutable(container: Container, name: string): void {
  switch (statusOf(container)) {
    case "running":
      return;
    case "paused":
      throw new EngineError("conflict", `Container ${name} is paused, unpause the container before exec`);
    case "restarting":
      throw new EngineError("conflict", `Container ${name} is restarting, wait until the container is running`);
    case "created":
    case "exited":
    case "removing":
    case "dead":
      throw new EngineError("conflict", `container ${container.id} is not running`);
  }
}

/** Whom an exec runs as: found in the container's files as they are now. */
async function userOf(context: ContainerContext, container: Container, config: ExecConfig): Promise<ProcessUser> {
  const rootfs = paths.rootfs(context.roots, container.id);
  return resolveUser(rootfs, config.User || container.config.User, container.hostConfig.GroupAdd ?? []);
}

async function launch(context: ContainerContext, container: Container, exec: Exec, options: ExecStart): Promise<void> {
  const { config } = exec;
  const [rows, columns] = options.ConsoleSize ?? config.ConsoleSize ?? [];
  try {
    const user = exec.user ?? (await userOf(context, container, config));
    publishExecEvent(context, exec, "exec_start");
    const { pid } = await context.keeper.startExec({
      containerId: container.id,
      execId: exec.id,
      runtime: runtimeOf(context, container),
      process: {
        ...buildExecProcess({
          container,
          config,
          user,
          host: context.host,
          defaults: context.settings.defaults,
          linkEnvironment: activeLinksIfAny(context, container).flatMap((link) => linkEnvironment(container, link)),
        }),
      },
      tty: config.Tty,
      openStdin: config.AttachStdin,
      consoleSize: rows && columns ? { rows, columns } : undefined,
      memo: encodeJson(config),
    });
    // A short one may have ended already.
    if (exec.state.status === "starting") exec.state = { status: "running", pid };
  } catch (error) {
    const exitCode = startExitCode(messageOf(error));
    context.execs.exited(exec.id, exitCode === 128 ? 126 : exitCode);
    throw error;
  }
}

/** The keeper has told that an exec ended. */
export function handleExecExit(context: ContainerContext, execId: string, exitCode: number): void {
  context.execs.exited(execId, exitCode);
  const exec = context.execs.get(execId);
  const container = context.set.find(exec.containerId);
  if (container !== undefined) publishContainerEvent(context, container, "exec_die", { execID: execId, exitCode: String(exitCode) });
}

function publishExecEvent(context: ContainerContext, exec: Exec, action: "exec_create" | "exec_start" | "exec_detach"): void {
  const container = context.set.get(exec.containerId);
  const command = action === "exec_detach" ? "" : `: ${exec.config.Cmd?.join(" ") ?? ""}`;
  publishContainerEvent(context, container, `${action}${command}`, { execID: exec.id });
}
