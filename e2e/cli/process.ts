import { spawn } from "node:child_process";

/** A program that is spoken with while it runs. */
export interface Conversation {
  /** Everything it has written so far, both streams in the order in which they came. */
  readonly said: string;
  send(text: string): void;
  signal(name: NodeJS.Signals): void;
  /** Waits until it has written `text`. */
  until(text: string): Promise<void>;
  /** Its exit code, or the signal that ended it. */
  ended(): Promise<number | NodeJS.Signals>;
}

const TIMEOUT_MS = 30_000;

export function converse(command: readonly string[], env: Readonly<Record<string, string>>): Conversation {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  const exit = Promise.withResolvers<number | NodeJS.Signals>();
  let said = "";
  let heard = (): void => undefined;
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      heard();
    });
  }
  child.on("error", exit.reject);
  child.on("close", (code, signal) => {
    clearTimeout(timer);
    exit.resolve(code ?? signal ?? 0);
    heard();
  });
  child.stdin.on("error", () => undefined);
  return {
    get said() {
      return said;
    },
    send: (text) => void child.stdin.write(text),
    signal: (name) => void child.kill(name),
    until: (text) =>
      new Promise((resolve, reject) => {
        heard = () => {
          if (said.includes(text)) resolve();
          else if (child.exitCode !== null || child.signalCode !== null)
            reject(new Error(`${command.join(" ")} ended without ${JSON.stringify(text)}: ${said}`));
        };
        heard();
      }),
    ended: () => exit.promise,
  };
}

/** The same in a terminal of 33 lines of 99 columns; its exit code is the command's. */
export function converseInTerminal(command: string, env: Readonly<Record<string, string>>): Conversation {
  return converse(["script", "-qec", `stty rows 33 cols 99; exec ${command}`, "/dev/null"], env);
}
