import { closeSync, openSync, rmSync } from "node:fs";
import path from "node:path";
import { codeOf } from "../base/errors.ts";
import { createInputFifo, createOutputFifo, openFifoReader, openFifoWriter } from "../kernel/fifo.ts";
import { openConsoleSocket, setTerminalSize, type ConsoleSocket } from "../kernel/pty.ts";
import type { Stdio } from "../kernel/runtime-call.ts";
import type { TerminalSize } from "./keeper.ts";

/** The keeper's side of a target's stdio; what is absent does not exist. A terminal stands for all three. */
export interface KeeperEnds {
  stdin?: number | undefined;
  stdout?: number | undefined;
  stderr?: number | undefined;
  terminal?: number | undefined;
}

export interface StdioOptions {
  /** Folder of the FIFOs. */
  folder: string;
  tty: boolean;
  openStdin: boolean;
  consoleSize: TerminalSize | undefined;
  /** Where to listen for the terminal: a short path. */
  consoleSocketPath: string;
}

/** Stdio made for a target that is about to start. */
export interface PreparedStdio {
  forRuntime: Stdio;
  consoleSocketPath: string | undefined;
  fifos: string[];
  /** Once the runtime has ended well: closes the container's side and gives ours, which is the caller's from now on. */
  take(): KeeperEnds;
  /** Closes what was not taken. */
  discard(): void;
}

export function fifoPaths(folder: string): { stdin: string; stdout: string; stderr: string } {
  return { stdin: path.join(folder, "stdin"), stdout: path.join(folder, "stdout"), stderr: path.join(folder, "stderr") };
}

/** Where a target's terminal is received: a short name, for a socket's path has 107 bytes in all. */
export function consoleSocketPath(folder: string, targetId: string): string {
  return path.join(folder, targetId.slice(0, 16));
}

/** Makes FIFOs or a console socket. */
export function prepareStdio(options: StdioOptions): PreparedStdio {
  const ours: KeeperEnds = {};
  const theirs: number[] = [];
  let consoleSocket: ConsoleSocket | undefined;
  const files = fifoPaths(options.folder);
  const closeTheirs = (): void => {
    for (const descriptor of theirs.splice(0)) closeSync(descriptor);
    consoleSocket?.[Symbol.dispose]();
    consoleSocket = undefined;
  };
  const discard = (): void => {
    closeTheirs();
    for (const end of Object.values(ours)) if (end !== undefined) closeSync(end);
    for (const file of Object.values(files)) rmSync(file, { force: true });
  };
  try {
    let stdin = openSync("/dev/null", "r+");
    theirs.push(stdin);
    let [stdout, stderr] = [stdin, stdin];
    if (options.tty) {
      consoleSocket = openConsoleSocket(options.consoleSocketPath);
    } else {
      const out = createOutputFifo(files.stdout);
      theirs.push((stdout = out.container));
      ours.stdout = out.reader;
      const err = createOutputFifo(files.stderr);
      theirs.push((stderr = err.container));
      ours.stderr = err.reader;
      if (options.openStdin) {
        const input = createInputFifo(files.stdin);
        theirs.push((stdin = input.container));
        ours.stdin = input.writer;
      }
    }
    return {
      forRuntime: [stdin, stdout, stderr],
      consoleSocketPath: consoleSocket?.path,
      fifos: options.tty ? [] : [files.stdout, files.stderr],
      take: () => {
        if (consoleSocket !== undefined) {
          ours.terminal = consoleSocket.receiveMaster();
          const { consoleSize } = options;
          if (consoleSize !== undefined) setTerminalSize(ours.terminal, consoleSize.rows, consoleSize.columns);
        }
        closeTheirs();
        const taken = { ...ours };
        for (const name of Object.keys(ours)) delete ours[name as keyof KeeperEnds]; // Object.keys widens the names
        return taken;
      },
      discard,
    };
  } catch (error) {
    discard();
    throw error;
  }
}

/** Opens the FIFOs of a target that another keeper has started. */
export function reopenStdio(folder: string): KeeperEnds {
  const files = fifoPaths(folder);
  return {
    stdin: ifThere(() => openFifoWriter(files.stdin)),
    stdout: ifThere(() => openFifoReader(files.stdout)),
    stderr: ifThere(() => openFifoReader(files.stderr)),
  };
}

/** No such FIFO, or (ENXIO) nobody left to write to. */
function ifThere(open: () => number): number | undefined {
  try {
    return open();
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENXIO") return undefined;
    throw error;
  }
}
