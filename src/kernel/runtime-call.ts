import { closeSync, openSync } from "node:fs";
import { EngineError } from "../base/errors.ts";
import { createPipe, readSome } from "./fifo.ts";
import type { Reaper } from "./reaper.ts";
import { spawnProcess } from "./spawn.ts";
import { exitCodeOf } from "./wait-status.ts";

/** The three descriptors a container's process is to have. */
export type Stdio = readonly [number, number, number];

export interface RuntimeCall {
  reaper: Reaper;
  file: string;
  argv: readonly string[];
  /** Undefined: /dev/null. */
  stdio: Stdio | undefined;
}

/** A runtime that takes longer than this for one command is killed. */
const CALL_LIMIT_MS = 120_000;
/** How many runtimes may be at work at once. */
const CALLS_LIMIT = 32;
const OUTPUT_LIMIT_BYTES = 4096;
/** All a runtime needs of an environment; the containers' own comes from their config.json. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

let running = 0;
const waiting: (() => void)[] = [];

/** Runs a runtime to its end; gives its exit code, or with `wantOutput` the beginning of its output. */
export async function callRuntime(call: RuntimeCall): Promise<number>;
export async function callRuntime(call: RuntimeCall & { wantOutput: true }): Promise<{ output: string }>;
export async function callRuntime(call: RuntimeCall & { wantOutput?: boolean }): Promise<number | { output: string }> {
  if (running >= CALLS_LIMIT) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return call.wantOutput === true ? { output: await outputOf(call) } : await runToEnd(call, call.stdio);
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

async function outputOf(call: RuntimeCall): Promise<string> {
  const { reader, writer } = createPipe();
  const nothing = openSync("/dev/null", "r+");
  try {
    await runToEnd(call, [nothing, writer, nothing]);
    const buffer = Buffer.alloc(OUTPUT_LIMIT_BYTES);
    return buffer.toString("utf8", 0, readSome(reader, buffer) ?? 0);
  } finally {
    for (const descriptor of [reader, writer, nothing]) closeSync(descriptor);
  }
}

async function runToEnd(call: RuntimeCall, stdio: Stdio | undefined): Promise<number> {
  const since = call.reaper.mark();
  let pid: number;
  if (stdio === undefined) {
    const nothing = openSync("/dev/null", "r+");
    try {
      pid = spawn(call, [nothing, nothing, nothing]);
    } finally {
      closeSync(nothing);
    }
  } else {
    pid = spawn(call, stdio);
  }
  // The pid is ours until the reaper has told its end, so this cannot hit another process.
  const limit = setTimeout(() => process.kill(pid, "SIGKILL"), CALL_LIMIT_MS);
  try {
    return exitCodeOf(await call.reaper.claim(pid, since));
  } finally {
    clearTimeout(limit);
  }
}

function spawn(call: RuntimeCall, stdio: Stdio): number {
  try {
    return spawnProcess({ path: call.file, argv: call.argv, environment: ENVIRONMENT, stdio });
  } catch (error) {
    throw new EngineError("system", `runtime ${call.argv[0]} cannot be run`, { cause: error });
  }
}
