import { closeSync } from "node:fs";
import type { Socket } from "node:net";
import { setTerminalSize } from "../kernel/pty.ts";
import type { Poller } from "../kernel/poller.ts";
import { AttachClient } from "./attach-client.ts";
import type { Chunk } from "./buffers.ts";
import type { OutputStream } from "./frames.ts";
import { Input } from "./input.ts";
import type { AttachOptions, TerminalSize } from "./keeper.ts";
import type { LogWriter } from "./log-writer.ts";
import { Output, type OutputTools } from "./output.ts";
import type { KeeperEnds } from "./stdio.ts";

/**
 * How long after a process has ended its output may stay open, in the hands of others: children of an exec, or of a container in the
 * host's pid namespace. Docker gives them two seconds.
 */
const OUTPUT_END_LIMIT_MS = 1000;

export interface TargetIoOptions {
  tty: boolean;
  /** Stdin ends when a client that had it goes or ends its half (never on a terminal). */
  stdinOnce: boolean;
  log: LogWriter | undefined;
  poller: Poller;
  tools: OutputTools;
  spillFolder: string;
}

/** The stdio of one target while it lives: its outputs, its input, its log, its clients. */
export class TargetIo {
  readonly #options: TargetIoOptions;
  #terminal: number | undefined;
  readonly #outputs: Output[] = [];
  readonly #clients = new Set<AttachClient>();
  #input: Input | undefined;

  constructor(ends: KeeperEnds, options: TargetIoOptions) {
    this.#options = options;
    if (ends.terminal !== undefined) this.openTerminal(ends.terminal);
    if (ends.stdin !== undefined) this.#openInput(ends.stdin);
    if (ends.stdout !== undefined) this.#openOutput(ends.stdout, "stdout");
    if (ends.stderr !== undefined) this.#openOutput(ends.stderr, "stderr");
  }

  /** The pty's master, if it has one. */
  get terminal(): number | undefined {
    return this.#terminal;
  }

  /** Joins a client. */
  attach(socket: Socket, options: AttachOptions): void {
    const client = new AttachClient(socket, options, this.#options.tty, this.#options.spillFolder);
    this.#clients.add(client);
    socket.on("close", () => this.#clients.delete(client));
    const input = options.stdin ? this.#input : undefined;
    if (input === undefined) {
      // Read on, to see it go.
      socket.resume();
      return;
    }
    const take = (bytes: Buffer): void => {
      const slow = input.write(bytes);
      if (slow === undefined) return;
      socket.pause();
      void slow.then(() => socket.resume());
    };
    socket.on("data", take);
    if (this.#options.stdinOnce && !this.#options.tty) {
      // It may have ended while it waited for its target: `: | docker run -i`.
      if (socket.readableEnded) input.end();
      socket.on("end", () => input.end());
      socket.on("close", () => input.end());
    }
  }

  /** Sets the terminal's size, if there is a terminal (still). */
  resize(size: TerminalSize): void {
    if (this.#terminal !== undefined) setTerminalSize(this.#terminal, size.rows, size.columns);
  }

  /** To be called when the process has ended: resolves when all its output was given out and logged. */
  async drain(): Promise<void> {
    const limit = setTimeout(() => this.#outputs.forEach((output) => output.finish()), OUTPUT_END_LIMIT_MS);
    try {
      await Promise.all(this.#outputs.map((output) => output.ended));
    } finally {
      clearTimeout(limit);
    }
  }

  /** Tells clients the end. */
  end(): void {
    this.#input?.close();
    for (const client of this.#clients) client.end();
  }

  /** Looks whether there is output, or its end, that no edge has told of. */
  look(): void {
    for (const output of this.#outputs) output.readiness({ readable: true, writable: false, hungUp: false });
  }

  /** Lets go of every descriptor. */
  async close(): Promise<void> {
    for (const output of this.#outputs) output.close();
    this.end();
    await this.#options.log?.close();
  }

  /** Takes a pty's master as the target's stdio. */
  openTerminal(master: number): void {
    const input = new Input(master, () => undefined);
    const output = this.#makeOutput(master, "terminal", "stdout", () => {
      this.#terminal = undefined;
      input.close();
    });
    this.#terminal = master;
    this.#input = input;
    this.#options.poller.watch(master, (ready) => {
      if (ready.writable) input.flush();
      output.readiness(ready);
    });
  }

  #openInput(descriptor: number): void {
    const { poller } = this.#options;
    const input = new Input(descriptor, () => {
      poller.unwatch(descriptor);
      closeSync(descriptor);
    });
    this.#input = input;
    poller.watch(descriptor, (ready) => {
      if (ready.writable) input.flush();
    });
  }

  #openOutput(descriptor: number, stream: OutputStream): void {
    const output = this.#makeOutput(descriptor, "pipe", stream);
    this.#options.poller.watch(descriptor, (ready) => output.readiness(ready));
  }

  #makeOutput(descriptor: number, kind: "pipe" | "terminal", stream: OutputStream, onRelease?: () => void): Output {
    const { log, poller, tools } = this.#options;
    const release = (): void => {
      onRelease?.();
      poller.unwatch(descriptor);
      closeSync(descriptor);
    };
    const edges = (wanted: boolean): void => (wanted ? poller.resume(descriptor) : poller.pause(descriptor));
    const output = new Output(
      // A terminal's edges tell of its input, too.
      { descriptor, kind, stream, release, ...(kind === "pipe" ? { edges } : {}) },
      {
        forward: (from, bytes, chunk) => this.#forward(from, bytes, chunk),
        ...(kind === "pipe" && log === undefined ? { splice: (from, pipe) => this.#splice(from, pipe) } : {}),
        log: log && ((from, bytes, origin) => log.write(from, bytes, origin)),
        unconfirmed: log?.unconfirmed,
      },
      tools,
    );
    this.#outputs.push(output);
    return output;
  }

  /** With one client only: a pipe's content can be moved but once. */
  #splice(stream: OutputStream, pipe: number): number | undefined {
    const [client, another] = this.#clients;
    return another === undefined && client?.options[stream] ? client.splice(stream, pipe) : undefined;
  }

  #forward(stream: OutputStream, bytes: Buffer, chunk: Chunk): Promise<void> | undefined {
    let slow: Promise<void>[] | undefined;
    for (const client of this.#clients) {
      const wait = client.send(stream, bytes, chunk);
      if (wait !== undefined) (slow ??= []).push(wait);
    }
    return slow && Promise.all(slow).then(() => undefined);
  }
}
