import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { codeOf, EngineError } from "../base/errors.ts";
import { reapChild, spawnProcess } from "../kernel/spawn.ts";
import { decodeError, encodeLine, PROTOCOL, readFirstLine, versionProblem, type Hello, type Welcome } from "./protocol.ts";

/** How long a keeper may take from its start to its first answer: Node has to load, and containers to be adopted. */
const START_LIMIT_MS = 20_000;
/** How long we go on after the keeper we started has failed: another one may have been faster. */
const FAILED_LIMIT_MS = 2000;
/** Until we start another where one has the lock that does not answer: killed, and with a sync of the disk to end before it is gone. */
const TAKEN_PAUSE_MS = 500;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;
const WELCOME_LIMIT_MS = 10_000;

export interface LaunchOptions {
  socketPath: string;
  /** Where the keeper's standard error goes. */
  logPath: string;
  /** The keeper's program with its arguments, the program by its absolute path. */
  command: readonly string[];
  /** Without our failpoints: one that ended a keeper must not end the next. */
  unarmed?: boolean;
}

/** A greeted connection, and the pid of the keeper at its other end. */
export interface Greeted {
  socket: Socket;
  keeperPid: number;
}

/** Keepers we have started, with their wait statuses once they have ended: they are our children, and nobody else collects them. */
const started = new Map<number, number | undefined>();

/** Connects to the keeper, started when none answers. */
export async function connectOrLaunch(options: LaunchOptions, hello: Hello, signal?: AbortSignal): Promise<Greeted> {
  const limitMs = performance.now() + START_LIMIT_MS;
  let launched: number | undefined;
  let failedMs: number | undefined;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    signal?.throwIfAborted();
    const greeted = await connectOnce(options.socketPath, hello);
    if (greeted !== undefined) return greeted;
    collectEnded();
    launched ??= launch(options);
    const waitStatus = started.get(launched);
    if (waitStatus === 0) {
      launched = undefined;
      pauseMs = TAKEN_PAUSE_MS;
    } else if (waitStatus !== undefined) failedMs ??= performance.now();
    if (performance.now() > limitMs || (failedMs !== undefined && performance.now() > failedMs + FAILED_LIMIT_MS)) {
      throw new EngineError("unavailable", `the keeper does not answer at ${options.socketPath}: see ${options.logPath}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Connects and greets; undefined when nobody listens. Rejects when the keeper refuses us. */
export async function connectOnce(socketPath: string, hello: Hello): Promise<Greeted | undefined> {
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    socket.write(encodeLine(hello));
    const line = await readFirstLine(socket, WELCOME_LIMIT_MS);
    if (line === undefined) throw Object.assign(new Error("the keeper closed the connection"), { code: "ECONNRESET" });
    const welcome = JSON.parse(line) as Welcome; // the keeper's, whose version is looked at next
    if ("error" in welcome) throw decodeError(welcome.error);
    const problem = versionProblem(welcome.keeper, PROTOCOL);
    if (problem !== undefined) throw new EngineError("unavailable", problem);
    return { socket, keeperPid: welcome.pid };
  } catch (error) {
    socket.destroy();
    if (["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** In a session of its own, so that no signal to the daemon's group reaches it, with its own place to write to. */
function launch(options: LaunchOptions): number {
  const [program = "", ...args] = options.command;
  for (const [pid, waitStatus] of started) if (waitStatus !== undefined) started.delete(pid);
  const nothing = openSync("/dev/null", "r");
  const log = openSync(options.logPath, "a", 0o600);
  try {
    const environment: Record<string, string> = {};
    for (const [name, value] of Object.entries(process.env)) if (value !== undefined) environment[name] = value;
    if (options.unarmed) delete environment["TSUBO_FAILPOINTS"];
    const pid = spawnProcess({ path: program, argv: [program, ...args], environment, stdio: [nothing, log, log] });
    started.set(pid, undefined);
    return pid;
  } finally {
    closeSync(nothing);
    closeSync(log);
  }
}

function collectEnded(): void {
  for (const [pid, waitStatus] of started) started.set(pid, waitStatus ?? reapChild(pid));
}
