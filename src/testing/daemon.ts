import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Roots } from "../store/roots.ts";
import { type Answer, requestOverSocket } from "./api-client.ts";
import { findTraces, keeperPids, sweepTraces, type Traces } from "./leaks.ts";
import { type Output, run, type RunOptions } from "./run.ts";

/**
 * A real daemon for tests: `dist/tsubod.cjs` on roots, socket, bridge, subnet and cgroup parent of its own, so that any number of them
 * runs side by side. `close` stops it and its keeper and throws when the machine is not as it was before.
 *
 * Its state is one temporary folder, `base`: data/, run/, daemon.log, docker-config/. Nothing of it is kept between two `start`s but that.
 */
export interface TestDaemon {
  readonly roots: Roots;
  readonly socketPath: string;
  readonly bridge: string;
  /** First three numbers of the bridge's /24. */
  readonly subnet: string;
  readonly cgroupParent: string;
  /** Path of the private network namespace, where one was asked for. */
  readonly netns: string | undefined;

  /** The stock Docker CLI against this daemon. Never throws for an exit code; `dockerOk` does, and gives the trimmed standard output. */
  docker(...args: string[]): Promise<Output>;
  dockerOk(...args: string[]): Promise<string>;
  /** Lines of the stock CLI: what has happened from `since` (seconds since 1970) until now and meets all filters (`type=image`). */
  eventsSince(since: number, filters: readonly string[], format: string): Promise<string[]>;
  /** Our own CLI against this daemon. */
  tsubo(...args: string[]): Promise<Output>;
  tsuboOk(...args: string[]): Promise<string>;
  /** The path of a program, for `run`. */
  pathOf(program: "docker" | "tsubo" | "tsubod"): string;
  /** Any program with DOCKER_HOST set, in the daemon's network namespace. */
  run(command: string[], options?: RunOptions): Promise<Output>;
  /** One request over the socket, as it comes back. `body` is sent as JSON, a Buffer as it is. */
  api(method: string, apiPath: string, body?: unknown): Promise<Answer>;

  /** Starts it (again) and waits for /_ping. */
  start(options?: { flags?: string[]; failpoints?: string }): Promise<void>;
  /** SIGTERM and its end; containers go on. */
  stop(): Promise<void>;
  /** SIGKILL and its end. */
  kill(): Promise<void>;
  /** Resolves with true when the process ends within the time; a crash by failpoint does that. */
  waitForEnd(timeoutMs: number): Promise<boolean>;
  pid(): number | undefined;
  keeperPid(): number | undefined;
  killKeeper(): Promise<void>;

  /** Removes every container, then waits until no trace of any is left; throws with all that was found otherwise. */
  expectClean(): Promise<void>;
  /** The last lines of its log, for the report of a test that failed. */
  logTail(lines?: number): string;
  /** Stops daemon and keeper, looks for what was left, deletes the folder. */
  close(): Promise<void>;
}

export interface TestDaemonOptions {
  /** Further flags of tsubod. */
  flags?: string[];
  /** A network namespace of its own with only `lo`: nothing inside is seen from the test process, use `run`. */
  privateNetwork?: boolean;
  /** The daemon sees a host with cgroup v2 only, in a mount namespace of its own; of the controllers those that v1 has left over. */
  cgroup2?: boolean;
  /** Extra environment, such as TSUBO_FAILPOINTS. */
  env?: Record<string, string>;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;
/** Background deletions and umounts may take this long before what is still there counts as left behind. */
const SETTLE_MS = 5_000;

const SEE_CGROUP2_ONLY = [
  "unshare",
  "--mount",
  "--propagation",
  "private",
  "--",
  "sh",
  "-ec",
  'umount -R -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"',
  "sh",
];

const projectRoot = path.resolve(import.meta.dirname, "../..");
let daemonsMade = 0;

export async function openTestDaemon(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  daemonsMade += 1;
  const base = mkdtempSync("/tmp/tsubo-e2e-");
  const roots: Roots = { data: path.join(base, "data"), exec: path.join(base, "run") };
  const tag = `${process.pid.toString(36)}${daemonsMade.toString(36)}`;
  const bridge = `tt${tag}`;
  const subnet = `10.${100 + ((process.pid >> 8) % 100)}.${(process.pid + daemonsMade * 37) % 256}`;
  const cgroupParent = `/tsubo-test-${tag}`;
  const socketPath = path.join(base, "tsubo.sock");
  const logFile = path.join(base, "daemon.log");
  const netns = options.privateNetwork ? await addNetns(`tsubo-${tag}`) : undefined;
  const enter = netns === undefined ? [] : ["nsenter", `--net=${netns}`, "--"];
  const env = {
    DOCKER_HOST: `unix://${socketPath}`,
    TSUBO_HOST: "",
    DOCKER_CONFIG: path.join(base, "docker-config"),
    DOCKER_CLI_HINTS: "false",
  };
  let child: ChildProcess | undefined;
  const killAtExit = (): void => void child?.kill("SIGKILL");
  process.once("exit", killAtExit);

  const daemon: TestDaemon = {
    roots,
    socketPath,
    bridge,
    subnet,
    cgroupParent,
    netns,

    run: (command, runOptions) => run([...enter, ...command], { ...runOptions, env: { ...env, ...runOptions?.env } }),
    pathOf: (program) => (program === "docker" ? dockerCli() : path.join(projectRoot, "bin", program)),
    docker: (...args) => daemon.run([daemon.pathOf("docker"), ...args]),
    dockerOk: async (...args) => succeeded(["docker", ...args], await daemon.docker(...args)),
    async eventsSince(since, filters, format) {
      const range = ["--since", String(since), "--until", String(Date.now() / 1000)];
      const told = await daemon.dockerOk("events", ...range, ...filters.flatMap((filter) => ["--filter", filter]), "--format", format);
      return told.split("\n");
    },
    tsubo: (...args) => daemon.run([daemon.pathOf("tsubo"), ...args]),
    tsuboOk: async (...args) => succeeded(["tsubo", ...args], await daemon.tsubo(...args)),
    api: (method, apiPath, body) => requestOverSocket(socketPath, method, apiPath, body),

    async start({ flags = [], failpoints } = {}) {
      if (isAlive(child)) throw new Error("the daemon runs already");
      const command = [
        ...enter,
        ...(options.cgroup2 ? SEE_CGROUP2_ONLY : []),
        daemon.pathOf("tsubod"),
        `--data-root=${roots.data}`,
        `--exec-root=${roots.exec}`,
        `--host=unix://${socketPath}`,
        `--pidfile=${path.join(base, "tsubod.pid")}`,
        `--bridge=${bridge}`,
        `--bip=${subnet}.1/24`,
        `--cgroup-parent=${cgroupParent}`,
        "--debug",
        ...(options.flags ?? []),
        ...flags,
      ];
      const log = openSync(logFile, "a");
      child = spawn(command[0] ?? "", command.slice(1), {
        stdio: ["ignore", log, log],
        detached: true,
        env: { ...process.env, ...options.env, ...(failpoints === undefined ? {} : { TSUBO_FAILPOINTS: failpoints }) },
      });
      closeSync(log);
      await waitForPing(daemon, child);
    },

    async stop() {
      child?.kill("SIGTERM");
      if (await daemon.waitForEnd(STOP_TIMEOUT_MS)) return;
      child?.kill("SIGKILL");
      throw new Error(`the daemon did not end within ${STOP_TIMEOUT_MS / 1000} s of SIGTERM:\n${daemon.logTail()}`);
    },
    async kill() {
      child?.kill("SIGKILL");
      await daemon.waitForEnd(STOP_TIMEOUT_MS);
    },
    waitForEnd: (timeoutMs) => waitUntil(() => !isAlive(child), timeoutMs),
    pid: () => (isAlive(child) ? child?.pid : undefined),
    keeperPid: () => keeperPids(roots)[0],
    async killKeeper() {
      const pid = daemon.keeperPid();
      if (pid === undefined) throw new Error("no keeper runs");
      process.kill(pid, "SIGKILL");
      await waitUntil(() => !keeperPids(roots).includes(pid), STOP_TIMEOUT_MS);
    },

    async expectClean() {
      await removeContainers(daemon);
      await removeNetworks(daemon);
      await removeVolumes(daemon);
      await expectDoctorPleased(daemon);
      const found = await settle(() => findTraces({ roots, cgroupParent, bridge, netns, phase: "running" }));
      if (found.length > 0) throw new Error(`left behind while the daemon runs:\n  ${found.join("\n  ")}`);
    },
    logTail: (lines = 40) => (existsSync(logFile) ? readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n") : ""),

    async close() {
      try {
        if (!isAlive(child) && existsSync(roots.data)) await daemon.start();
        if (isAlive(child)) {
          await daemon.expectClean();
          await daemon.stop();
        }
        await stopKeeper(roots);
        const found = await settle(() => findTraces({ roots, cgroupParent, bridge, netns, phase: "stopped" }));
        if (found.length > 0) throw new Error(`left behind after the daemon stopped:\n  ${found.join("\n  ")}`);
      } finally {
        process.off("exit", killAtExit);
        child?.kill("SIGKILL");
        await sweepTraces({ roots, cgroupParent, bridge, netns });
        rmSync(base, { recursive: true, force: true });
      }
    },
  };
  return daemon;
}

/** The stock CLI. Tests that need it are skipped where there is none. */
export function dockerCli(): string {
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    const candidate = path.join(folder, "docker");
    if (folder !== "" && existsSync(candidate)) return candidate;
  }
  return "docker";
}

export function hasDockerCli(): boolean {
  return path.isAbsolute(dockerCli());
}

async function waitForPing(daemon: TestDaemon, child: ChildProcess): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadlineMs && isAlive(child)) {
    try {
      if ((await daemon.api("GET", "/_ping")).status === 200) return;
    } catch {
      // Not listening yet.
    }
    await sleep(20);
  }
  throw new Error(`the daemon did not come up (exit code ${child.exitCode}, signal ${child.signalCode}):\n${daemon.logTail()}`);
}

async function removeVolumes(daemon: TestDaemon): Promise<void> {
  // The API's own shape.
  const { Volumes } = (await daemon.api("GET", "/volumes")).json() as { Volumes: { Name: string }[] };
  for (const { Name } of Volumes) {
    const removed = await daemon.api("DELETE", `/volumes/${Name}?force=1`);
    if (removed.status !== 204) throw new Error(`removing volume ${Name}: ${removed.text}`);
  }
}

async function removeNetworks(daemon: TestDaemon): Promise<void> {
  const listed = await daemon.api("GET", `/networks?filters=${encodeURIComponent('{"type":["custom"]}')}`);
  // The API's own shape.
  for (const { Id } of JSON.parse(listed.text) as { Id: string }[]) {
    const removed = await daemon.api("DELETE", `/networks/${Id}`);
    if (removed.status !== 204) throw new Error(`removing network ${Id}: ${removed.text}`);
  }
}

async function removeContainers(daemon: TestDaemon): Promise<void> {
  const listed = await daemon.api("GET", "/containers/json?all=1");
  // The shape is the Engine API's; a daemon that answers another shape fails right below.
  const containers = listed.json() as { Id: string }[];
  const removed = await Promise.all(containers.map(({ Id }) => daemon.api("DELETE", `/containers/${Id}?force=1&v=1`)));
  // 404: it was run with --rm and has just gone; 409: it is just going.
  const failed = removed.filter(({ status }) => ![204, 404, 409].includes(status));
  if (failed.length > 0)
    throw new Error(`removing all containers failed:\n  ${failed.map(({ status, text }) => `${status} ${text}`).join("\n  ")}`);
}

/** The daemon's own checker; `settle`, because an answer may come before a background deletion. */
async function expectDoctorPleased(daemon: TestDaemon): Promise<void> {
  const problems = await settle(async () => {
    const answer = await daemon.api("GET", "/tsubo/doctor");
    if (answer.status !== 200) return [`GET /tsubo/doctor answered ${answer.status}: ${answer.text}`];
    // The shape is that of engine/system/doctor.ts, DoctorReport.
    const report = answer.json() as { problems: { kind: string; what: string; detail: string }[] };
    return report.problems.map(({ kind, what, detail }) => `${kind} ${what}: ${detail}`);
  });
  if (problems.length > 0) throw new Error(`the doctor found:\n  ${problems.join("\n  ")}`);
}

/** Looks again until nothing is found or the time to settle is over; gives back what was found last. */
async function settle(look: () => Traces | Promise<Traces>): Promise<Traces> {
  const deadlineMs = Date.now() + SETTLE_MS;
  for (;;) {
    const found = await look();
    if (found.length === 0 || Date.now() > deadlineMs) return found;
    await sleep(50);
  }
}

/** A keeper without containers ends by SIGTERM. */
async function stopKeeper(roots: Roots): Promise<void> {
  for (const pid of keeperPids(roots)) process.kill(pid, "SIGTERM");
  if (await waitUntil(() => keeperPids(roots).length === 0, STOP_TIMEOUT_MS)) return;
  throw new Error(`the keeper (pid ${keeperPids(roots).join(", ")}) did not end within ${STOP_TIMEOUT_MS / 1000} s of SIGTERM`);
}

async function addNetns(name: string): Promise<string> {
  succeeded(["ip", "netns", "add"], await run(["ip", "netns", "add", name]));
  succeeded(["ip", "link", "set", "lo", "up"], await run(["ip", "-n", name, "link", "set", "lo", "up"]));
  return `/run/netns/${name}`;
}

function succeeded(command: string[], output: Output): string {
  if (output.code === 0) return output.stdout.trim();
  throw new Error(`${command.join(" ")} exited with ${output.code}:\n${output.stderr}${output.stdout}`);
}

function isAlive(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function waitUntil(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadlineMs) return false;
    await sleep(10);
  }
  return true;
}
