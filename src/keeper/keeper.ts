import type { Duplex } from "node:stream";

/**
 * The keeper, as the daemon sees it.
 *
 * One process, apart from the daemon, is the parent of every container and exec. It outlives the daemon: it holds the containers' stdin,
 * stdout and stderr (FIFOs) or pty, writes their logs, feeds attached clients, reaps, and writes each exit status to the disk *before*
 * it reports it. The daemon may die and come back at any moment; it then finds every container, log line and exit status where it was.
 * When the keeper itself dies the daemon starts another, which reads on: the daemon holds a pidfd and an unread descriptor per FIFO.
 *
 * Words: a *target* is a container or one of its execs; an *exit* is what is known of a target that ended.
 */
export interface Keeper {
  /**
   * Makes and starts a container's first process: `runtime create`, then start. Resolves when it runs. Rejects with an EngineError whose
   * message is in runc's words (`exec: "x": executable file not found in $PATH`); then nothing is left of it and attached clients end.
   */
  startContainer(spec: ContainerSpec, signal?: AbortSignal): Promise<{ pid: number; startedAtNs: bigint }>;

  /** Starts a process in a running container. Rejects in the same words; then attached clients of this exec get the message and end. */
  startExec(spec: ExecSpec, signal?: AbortSignal): Promise<{ pid: number }>;

  /**
   * Joins a target's stdio; also before it has started. Reading gives stdout and stderr as Docker's 8-byte-header frames (raw bytes on a
   * tty) until the target ended and all it wrote was given; writing goes to its stdin; ending the writing half closes stdin when the
   * target was made with `stdinOnce` or is an exec. A client that does not read never holds the target up: it is fed from the log file, or cut off.
   */
  attach(target: Target, options: AttachOptions): Promise<Duplex>;

  /**
   * The same for a client whose connection the keeper takes over: what passes does not pass through the daemon, and goes on when the daemon
   * does not. The caller stops reading from it before, and closes its own descriptor (without a shutdown) when this has resolved; when it
   * rejects, nothing was written to the client.
   */
  handOver(target: Target, options: AttachOptions, connection: ClientConnection): Promise<void>;

  /** Sets the size of a target's terminal. */
  resize(target: Target, size: TerminalSize): Promise<void>;

  /** Sends a signal to a target's process; `false` when it has already ended. */
  signal(target: Target, signalNumber: number): Promise<boolean>;

  /** Freezes or thaws all processes of a container. */
  pause(containerId: string): Promise<void>;
  unpause(containerId: string): Promise<void>;

  /** Lets go of a container that has ended: its FIFOs, state and cgroups are gone when this resolves. Idempotent. */
  forgetContainer(containerId: string): Promise<void>;

  /** Everything the keeper holds now, for a daemon that has just come up. */
  list(): Promise<KeptContainer[]>;

  /** Keeps a copy of a descriptor under a name, for as long as the keeper lives, and gives it to the keeper after it. */
  keepDescriptor(name: string, descriptor: number): Promise<void>;
  /** Copies of all that were kept; none of a keeper of an earlier version. */
  takeDescriptors(): Promise<Map<string, number>>;
  /** Idempotent. */
  dropDescriptor(name: string): Promise<void>;

  /** Calls back on each exit and each kill for want of memory, as they come; also those that came while nobody listened, once more. */
  subscribe(listener: (event: KeeperEvent) => void): void;

  /** Lets go of the connection. The keeper and its containers go on. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Target {
  containerId: string;
  /** Absent: the container's first process. */
  execId?: string | undefined;
}

export interface TerminalSize {
  rows: number;
  columns: number;
}

export interface ContainerSpec {
  id: string;
  /** Folder with `config.json`, the root file system at `rootfs`; FIFOs are made here. */
  bundlePath: string;
  runtime: RuntimeChoice;
  tty: boolean;
  /** False: stdin is /dev/null. */
  openStdin: boolean;
  /** Stdin closes when the first attached client that had it goes. */
  stdinOnce: boolean;
  consoleSize?: TerminalSize | undefined;
  log: LogDestination;
  /** The `linux.cgroupsPath` of config.json, for the OOM counters and the direct removal. */
  cgroupsPath: string;
  /** Where the exit goes, durably, before it is reported. */
  exitPath: string;
  /** It goes with the machine in any case: its exit need not wait for the disk. */
  volatile: boolean;
}

export interface RuntimeChoice {
  name: string;
  /** Absolute path of the program. */
  path: string;
  args: string[];
}

/** Where a container's output is kept. `json-file` is Docker's format: one `{"log":…,"stream":…,"time":…}` a line. */
export type LogDestination =
  | { driver: "none" }
  | {
      driver: "json-file";
      path: string;
      maxSizeBytes: number | undefined;
      /** All files of the log. */
      maxFiles: number;
      /** Rotated files are compressed, in the background. */
      compress: boolean;
      /** The oldest files go before the whole log takes more of the disk; files that wait to be compressed apart. */
      maxTotalBytes?: number;
      attrs?: Record<string, string>;
    };

export interface ExecSpec {
  containerId: string;
  execId: string;
  runtime: RuntimeChoice;
  /** An OCI runtime-spec `process` object. */
  process: Record<string, unknown>;
  tty: boolean;
  openStdin: boolean;
  consoleSize?: TerminalSize | undefined;
  /** Given back by `list`: what a daemon that comes up has to know of it. */
  memo: string;
}

export interface AttachOptions {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
}

export interface ClientConnection {
  /** The daemon's descriptor of a stream socket. */
  descriptor: number;
  /** What is written to the client before anything else. */
  head: string;
  /** What the daemon has read from it already. */
  early: Buffer;
}

/** How a target ended. */
export interface Exit {
  /** 0–255; 128 + N for death by signal N; 255 with `error` where it cannot be known. */
  exitCode: number;
  finishedAtNs: bigint;
  oomKilled: boolean;
  error?: string | undefined;
}

export type KeeperEvent =
  | { type: "exit"; containerId: string; exit: Exit }
  | { type: "execExit"; containerId: string; execId: string; exit: Exit }
  | { type: "oom"; containerId: string };

export interface KeptContainer {
  id: string;
  pid: number;
  startedAtNs: bigint;
  /** Undefined while it runs. */
  exit: Exit | undefined;
  execs: { id: string; pid: number; exit: Exit | undefined; memo: string }[];
}
