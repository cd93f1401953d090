import { closeSync, mkdirSync, openSync, readFileSync, rmSync, unlinkSync, writeFileSync, writeSync, constants } from "node:fs";
import path from "node:path";
import { codeOf, EngineError } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { freezeCgroup, removeCgroup } from "./cgroups.ts";
import type { Reaper } from "./reaper.ts";
import { callRuntime, type Stdio } from "./runtime-call.ts";
import { lastErrorIn, runtimeErrorMessage } from "./runtime-errors.ts";
import { learnFilter, prepareSeccomp, revertSeccomp } from "./runtime-seccomp.ts";
import { fingerprint, sealBinary, type SealedBinary } from "./runtime-seal.ts";

/**
 * The OCI runtime: the program that makes a container out of a bundle (crun, runc, or any other that speaks the same commands).
 *
 * Every runtime is driven by `create`, `start`, `exec`, `kill`, `pause`, `resume`, `delete`. For crun there are four faster ways that give
 * the same result, and one for runc; each can be turned off (`RuntimeWays`), and each falls back to the plain command when the host does
 * not play along. What the runtime is given as stdio *is* the container's stdio, so its own complaints are read from its log file, and
 * the stdio of a failed create is to be thrown away.
 *
 * Invariant: a create or exec that rejects has left nothing of the container behind.
 */
export interface Runtime {
  dialect: Dialect;
  /** Makes the container, its first process waiting to be started. `since` is for the reaper's claim. */
  create(container: RuntimeContainer, stdio: Stdio, consoleSocketPath?: string): Promise<{ pid: number; since: number }>;
  start(container: RuntimeContainer): Promise<void>;
  /** Runs a process in the container. `folder` takes its files while it starts. */
  exec(
    container: RuntimeContainer,
    processSpec: Record<string, unknown>,
    folder: string,
    stdio: Stdio,
    consoleSocketPath?: string,
  ): Promise<{ pid: number; since: number }>;
  /** Sends a signal to the first process, for runtimes whose process on the host is not the container's. False: it has ended. */
  kill(container: RuntimeContainer, signalNumber: number): Promise<boolean>;
  pause(container: RuntimeContainer): Promise<void>;
  resume(container: RuntimeContainer): Promise<void>;
  /** Removes state and cgroups of a container whose first process has ended, with all that is left in it. Idempotent. */
  remove(container: RuntimeContainer): Promise<void>;
}

export type Dialect = "crun" | "runc" | "other";

export interface RuntimeContainer {
  id: string;
  bundlePath: string;
  cgroupsPath: string;
}

/** The faster ways; all on by default. */
export interface RuntimeWays {
  /** Run crun from a sealed memory file (runtime-seal.ts). */
  sealedBinary: boolean;
  /** Give crun a compiled seccomp filter (runtime-seccomp.ts). */
  compiledSeccomp: boolean;
  /** Start crun's containers through its exec.fifo: 0.1 ms instead of 7. */
  execFifo: boolean;
  /** Remove cgroups and state ourselves: 1 ms instead of 11. */
  directDelete: boolean;
  /** Write the freezer ourselves. */
  directFreezer: boolean;
}

export const ALL_WAYS: RuntimeWays = { sealedBinary: true, compiledSeccomp: true, execFifo: true, directDelete: true, directFreezer: true };

export interface RuntimesOptions {
  reaper: Reaper;
  /** The runtimes' `--root`, absolute: crun changes to the bundle before it looks at it. */
  stateRoot: string;
  /** Where compiled seccomp filters are kept. */
  seccompFolder: string;
  ways: RuntimeWays;
}

const EXEC_FIFO_TRIES = 50;
const EXEC_FIFO_PAUSE_MS = 1;
const REMOVE_TRIES = 20;
const REMOVE_PAUSE_MS = 2;

/** Gives the driver of each runtime by its program; what is known of a program is kept until its file changes. */
export function openRuntimes(options: RuntimesOptions): (program: { path: string; args: readonly string[] }) => Promise<Runtime> {
  const dialects = new Map<string, Dialect>();
  const sealed = new Map<string, SealedBinary>();
  return async (program) => {
    let source: string;
    try {
      source = fingerprint(program.path);
    } catch {
      throw new EngineError("system", `runtime ${program.path}: the program cannot be found; check the daemon's --add-runtime`);
    }
    const dialect = dialects.get(source) ?? (await askDialect(program.path, options.reaper));
    dialects.set(source, dialect);
    let file = program.path;
    if (dialect === "crun" && options.ways.sealedBinary) {
      const copy = sealBinary(program.path, sealed.get(program.path));
      sealed.set(program.path, copy);
      file = copy.path;
    }
    return driver({ ...options, file, source, name: path.basename(program.path), args: program.args, dialect });
  };
}

interface Driven extends RuntimesOptions {
  file: string;
  source: string;
  name: string;
  args: readonly string[];
  dialect: Dialect;
}

function driver(driven: Driven): Runtime {
  const { dialect, ways, stateRoot } = driven;
  return {
    dialect,
    create: async (container, stdio, consoleSocketPath) => {
      const pidFile = path.join(container.bundlePath, "init.pid");
      const compiles = dialect === "crun" && ways.compiledSeccomp;
      const seccomp = compiles ? prepareSeccomp(container.bundlePath, driven.seccompFolder, driven.source) : ({ kind: "plain" } as const);
      const command = ["create", "--bundle", container.bundlePath, "--pid-file", pidFile];
      if (consoleSocketPath !== undefined) command.push("--console-socket", consoleSocketPath);
      command.push(container.id);
      const since = driven.reaper.mark();
      let failure = await run(driven, command, container.bundlePath, stdio);
      if (failure !== undefined && seccomp.kind === "compiled" && /seccomp|bpf/i.test(failure)) {
        revertSeccomp(container.bundlePath, seccomp);
        failure = await run(driven, command, container.bundlePath, stdio);
      }
      if (failure !== undefined) {
        throw new EngineError("system", runtimeErrorMessage(failure, { action: "create", command: firstArgument(container.bundlePath) }));
      }
      try {
        failpoint("runtime.create.created");
        if (seccomp.kind === "unknown") learnFilter(seccomp.key, path.join(stateRoot, container.id), driven.seccompFolder);
        return { pid: takePid(pidFile), since };
      } catch (error) {
        await remove(driven, container);
        throw error;
      }
    },

    start: async (container) => {
      if (dialect === "crun" && ways.execFifo && (await openExecFifo(path.join(stateRoot, container.id, "exec.fifo")))) return;
      await must(driven, ["start", container.id], container.bundlePath, "start");
    },

    exec: async (container, processSpec, folder, stdio, consoleSocketPath) => {
      const specFile = path.join(folder, "process.json");
      const pidFile = path.join(folder, "process.pid");
      writeFileSync(specFile, JSON.stringify(processSpec), { mode: 0o600 });
      const command = ["exec", "--process", specFile, "--detach", "--pid-file", pidFile];
      if (consoleSocketPath !== undefined) command.push("--console-socket", consoleSocketPath);
      command.push(container.id);
      const since = driven.reaper.mark();
      const failure = await run(driven, command, folder, stdio);
      rmSync(specFile, { force: true });
      if (failure !== undefined) {
        const args = processSpec["args"];
        const first = Array.isArray(args) ? String(args[0]) : "";
        throw new EngineError("system", runtimeErrorMessage(failure, { action: "exec", command: first }));
      }
      return { pid: takePid(pidFile), since };
    },

    kill: async (container, signalNumber) => {
      const failure = await run(driven, ["kill", container.id, String(signalNumber)], container.bundlePath, undefined);
      return failure === undefined;
    },

    pause: async (container) => {
      if (ways.directFreezer && dialect !== "other" && (await freezeCgroup(container.cgroupsPath, true))) return;
      await must(driven, ["pause", container.id], container.bundlePath, "pause");
    },

    resume: async (container) => {
      if (ways.directFreezer && dialect !== "other" && (await freezeCgroup(container.cgroupsPath, false))) return;
      await must(driven, ["resume", container.id], container.bundlePath, "resume");
    },

    remove: (container) => remove(driven, container),
  };
}

/** Kills what still runs. */
async function remove(driven: Driven, container: RuntimeContainer): Promise<void> {
  const { dialect, ways, stateRoot } = driven;
  const stateFolder = path.join(stateRoot, container.id);
  if (ways.directDelete && dialect !== "other" && !hasPoststopHooks(container.bundlePath)) {
    // The kernel may take a moment to let go of the last task of a group.
    for (let tries = 0; tries < REMOVE_TRIES; tries += 1) {
      if (removeCgroup(container.cgroupsPath)) {
        failpoint("runtime.remove.cgroups");
        rmSync(stateFolder, { recursive: true, force: true });
        return;
      }
      await pause(REMOVE_PAUSE_MS);
    }
  }
  const failure = await run(driven, ["delete", "--force", container.id], container.bundlePath, undefined);
  if (failure === undefined || /does not exist|No such file or directory/.test(failure)) {
    removeCgroup(container.cgroupsPath);
    rmSync(stateFolder, { recursive: true, force: true });
    return;
  }
  throw new EngineError("system", `runtime ${driven.name} cannot remove container ${container.id}: ${failure}`);
}

/** Runs one command of the runtime; gives what it complained of, or undefined when it went well. */
async function run(driven: Driven, command: string[], folder: string, stdio: Stdio | undefined): Promise<string | undefined> {
  mkdirSync(driven.stateRoot, { recursive: true, mode: 0o700 });
  const logFile = path.join(folder, `runtime-${command[0]}.log`);
  // With JSON crun would write an object into the container's own stderr when the last exec fails (bad interpreter).
  const format = driven.dialect === "crun" ? [] : ["--log-format", "json"];
  const argv = [driven.name, ...driven.args, "--root", driven.stateRoot, "--log", logFile, ...format, ...command];
  const code = await callRuntime({ reaper: driven.reaper, file: driven.file, argv, stdio });
  const log = readIfThere(logFile);
  rmSync(logFile, { force: true });
  if (code === 0) return undefined;
  return lastErrorIn(log) ?? `${driven.name} ${command[0]} ended with status ${code}`;
}

async function must(driven: Driven, command: string[], folder: string, what: string): Promise<void> {
  const failure = await run(driven, command, folder, undefined);
  if (failure !== undefined)
    throw new EngineError("system", `runtime ${driven.name} cannot ${what} container ${command.at(-1)}: ${failure}`);
}

/**
 * What `crun start` does after 7 ms of preparation: opens the FIFO the container's first process waits at, and writes a zero byte.
 * False when that process is not there.
 */
async function openExecFifo(fifo: string): Promise<boolean> {
  for (let tries = 0; tries < EXEC_FIFO_TRIES; tries += 1) {
    try {
      const fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
      try {
        unlinkSync(fifo);
        return writeSync(fd, Buffer.alloc(1)) === 1;
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (codeOf(error) !== "ENXIO") return false;
    }
    await pause(EXEC_FIFO_PAUSE_MS);
  }
  return false;
}

/** Asks a program which runtime it is. */
async function askDialect(file: string, reaper: Reaper): Promise<Dialect> {
  const { output } = await callRuntime({ reaper, file, argv: [path.basename(file), "--version"], stdio: undefined, wantOutput: true });
  if (output.startsWith("crun version")) return "crun";
  return output.startsWith("runc version") ? "runc" : "other";
}

function takePid(pidFile: string): number {
  const pid = Number(readFileSync(pidFile, "utf8"));
  rmSync(pidFile, { force: true });
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new EngineError("system", `the runtime wrote no pid into ${pidFile}`);
  return pid;
}

function firstArgument(bundlePath: string): string {
  // The runtime-spec's shape; this text is for an error message only.
  const config = JSON.parse(readFileSync(path.join(bundlePath, "config.json"), "utf8")) as { process?: { args?: string[] } };
  return config.process?.args?.[0] ?? "";
}

function hasPoststopHooks(bundlePath: string): boolean {
  const text = readIfThere(path.join(bundlePath, "config.json"));
  return text.includes('"poststop"');
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function pause(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}
