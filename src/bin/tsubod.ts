import { createHash } from "node:crypto";
import { closeSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { EngineError, messageOf } from "../base/errors.ts";
import { openLog, type Log } from "../base/log.ts";
import { openBuilds } from "../engine/build/open-builds.ts";
import { openContainerSet, volumeUsers } from "../engine/containers/container-set.ts";
import type { Container } from "../engine/containers/container.ts";
import type { ContainerSettings } from "../engine/containers/context.ts";
import { openContainers } from "../engine/containers/open.ts";
import { openEvents } from "../engine/events/events.ts";
import { openImages } from "../engine/images/open-images.ts";
import { openNetworks } from "../engine/networks/open-networks.ts";
import { openSystem } from "../engine/system/open-system.ts";
import { openVolumes } from "../engine/volumes/open-volumes.ts";
import { openHttp } from "../http/server.ts";
import { openKeeper } from "../keeper/client.ts";
import { ensureCrunCanRun, readCgroupLayout } from "../kernel/cgroup-layout.ts";
import { lockFile } from "../kernel/file-lock.ts";
import { readHostFacts, type HostFacts } from "../kernel/host.ts";
import { openChildPool } from "../store/child/pool.ts";
import { openDatabase } from "../store/database.ts";
import { openStorageDriver } from "../store/storage-driver.ts";
import { ensureRoots, paths, type Roots } from "../store/roots.ts";
import { SERVER_VERSION } from "../engine/system/component-versions.ts";
import { formatListenAddress } from "./daemon-config/listen-address.ts";
import { readDaemonConfig, type DaemonConfig } from "./daemon-config/daemon-config.ts";
import { findInit, findRuntimes } from "./programs.ts";

/** Where certificates of registries are looked for; the second is Docker's own, so that a host that changes over finds its own again. */
const CERTIFICATE_FOLDERS = ["/etc/tsubo/certs.d", "/etc/docker/certs.d"];

/**
 * tsubod: reads the configuration, opens the parts in the order in which they need each other, and closes them in reverse. Start-up *is*
 * recovery: each part brings what an earlier daemon left in line before it opens.
 */
async function main(): Promise<void> {
  const command = await readDaemonConfig(process.argv.slice(2));
  if (command.kind === "print") {
    process.stdout.write(command.text);
    return;
  }
  const { config, notes } = command;
  const log = openLog("tsubod", config.logLevel);
  for (const note of notes) log.warn(note);
  await using daemon = await openDaemon(config, log);
  log.info({ listenOn: config.listenOn, dataRoot: config.roots.data }, "the API listens");
  await daemon.stopped;
  log.info("stopping; containers go on");
}

async function openDaemon(config: DaemonConfig, log: Log): Promise<AsyncDisposable & { stopped: Promise<void> }> {
  await using opened = new AsyncDisposableStack();
  const { roots } = config;
  await ensureRoots(roots);
  const lock = lockFile(paths.lock(roots));
  if (lock === undefined) {
    throw new EngineError(
      "system",
      `starting on data root ${roots.data}: another tsubod uses it: stop that one, or give this one its own --data-root and --exec-root`,
    );
  }
  opened.defer(() => closeSync(lock));
  writeFileSync(config.pidFile, `${process.pid}\n`, { mode: 0o644 });
  opened.defer(() => rmSync(config.pidFile, { force: true }));

  const host = readHostFacts(await ensureCrunCanRun(readCgroupLayout()));
  const settings = settingsOf(config, host);
  const database = openDatabase(paths.database(roots));
  opened.defer(() => database.close());
  const events = openEvents((error) => log.error({ error: messageOf(error) }, "a listener of events failed"));
  const set = openContainerSet(database);
  const children = openChildPool({ command: program("tsubo-unpack", 8), log });
  const layers = opened.use(await openStorageDriver(config.storageDriver, { database, roots, log, children }));
  opened.use(children);
  const images = openImages({
    database,
    roots,
    log,
    layers,
    children,
    events,
    registryConfig: {
      insecureRegistries: config.registries.insecure,
      mirrors: config.registries.mirrors,
      maxConcurrentDownloads: config.registries.maxConcurrentDownloads,
      maxConcurrentUploads: config.registries.maxConcurrentUploads,
      maxDownloadAttempts: config.registries.maxDownloadAttempts,
      certificateFolders: CERTIFICATE_FOLDERS,
    },
    usersOf: (imageId) => {
      const isUser = (container: Container): boolean =>
        container.imageId === imageId || container.mounts.some((mount) => mount.imageId === imageId);
      const users = set.all().filter(isUser);
      return users.map((container) => ({ id: container.id, running: container.state.status === "running" }));
    },
  });
  await images.restore();
  await images.ensureEmbedded();
  const keeper = opened.use(
    await openKeeper({
      log,
      socketPath: paths.keeperSocket(roots),
      logPath: paths.keeperLog(roots),
      command: [...program("tsubo-keeper"), "--data-root", roots.data, "--exec-root", roots.exec],
    }),
  );
  const networks = opened.use(
    await openNetworks({
      database,
      roots,
      log,
      events,
      workerPath: path.join(programFolder(), "kernel-worker.cjs"),
      dnsWorkerPath: path.join(programFolder(), "dns-worker.cjs"),
      bridge: config.bridge,
      addressPools: config.addressPools,
      descriptors: keeper,
    }),
  );
  const volumes = openVolumes({
    database,
    roots,
    log,
    events,
    children,
    users: () => volumeUsers(set.all()),
  });
  const containers = await openContainers({
    serverVersion: SERVER_VERSION,
    roots,
    log,
    settings,
    host,
    set,
    keeper,
    layers,
    children,
    images,
    networks,
    volumes,
    events,
  });
  const builds = opened.use(
    await openBuilds({
      database,
      roots,
      log,
      layers,
      children,
      images,
      containers,
      events,
      serverVersion: SERVER_VERSION,
      cachePolicy: config.buildCache,
    }),
  );
  const system = openSystem({
    settings,
    buildCache: () => builds.listCache(),
    registries: config.registries,
    labels: config.labels,
    debug: config.debug,
    host,
    roots,
    database,
    set,
    images,
    events,
    networks,
    volumes,
    keeper,
    layers,
  });
  opened.use(
    await openHttp({
      hosts: config.listenOn.map(formatListenAddress),
      engine: { containers, images, builds, networks, volumes, events, system },
      log,
      version: SERVER_VERSION,
      ...(config.socketGroup === undefined ? {} : { socketGroup: config.socketGroup }),
    }),
  );

  const closing = opened.move();
  return { stopped: stopSignal(), [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

function settingsOf(config: DaemonConfig, host: HostFacts): ContainerSettings {
  return {
    ...findRuntimes(config, host),
    cgroupParent: config.containers.cgroupParent ?? defaultCgroupParent(config.roots),
    defaults: config.containers,
    logs: config.logs,
    dns: config.dns,
    initPath: config.containers.initPath ?? findInit(),
  };
}

/** Daemons side by side keep their cgroups apart. */
function defaultCgroupParent(roots: Roots): string {
  if (roots.exec === "/run/tsubo") return "/tsubo";
  return `/tsubo-${createHash("sha256").update(roots.exec).digest("hex").slice(0, 8)}`;
}

/** The folder of this bundle and its siblings. */
function programFolder(): string {
  return path.dirname(process.argv[1] ?? "");
}

/** As `bin/tsubod` starts us: a small young generation. A child for work on data goes when it is idle, and has a larger one. */
function program(name: string, youngMegabytes = 1): string[] {
  return [process.execPath, `--max-semi-space-size=${youngMegabytes}`, path.join(programFolder(), `${name}.cjs`)];
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`tsubod: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
