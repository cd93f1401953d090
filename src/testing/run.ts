import { spawn } from "node:child_process";

/** What a program wrote and how it ended: an exit code, or 128 + the signal's number as a shell has it. */
export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** Standard input; none: /dev/null. */
  input?: string | Uint8Array;
  timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;

/** Runs a program to its end. Rejects only when it cannot be started or takes too long. */
export function run(command: string[], options: RunOptions = {}): Promise<Output> {
  const [program = "", ...args] = command;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    const written = { stdout: "", stderr: "" };
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${command.join(" ")} took longer than ${timeoutMs} ms; so far:\n${written.stdout}${written.stderr}`));
    }, timeoutMs);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (written.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (written.stderr += text));
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? 128 + signalNumber(signal), ...written });
    });
    if (options.input !== undefined) child.stdin?.on("error", () => undefined).end(options.input);
  });
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === "SIGKILL" ? 9 : signal === "SIGTERM" ? 15 : signal === "SIGINT" ? 2 : 1;
}
