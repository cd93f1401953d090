import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import path from "node:path";

import { openTestDaemon } from "../src/testing/daemon.ts";
import { run } from "../src/testing/run.ts";
import { measured, ROUNDS, row, timed } from "./measure.ts";

/**
 * Volumes on this machine: copy-up of 10,000 files of 4 KiB against `cp -a` of the same, lists of 5,000 volumes, runs with and without them.
 * Medians in milliseconds. As root, after `npm run build`:
 *
 *     node bench/volumes.ts
 */
const FILES = 10_000;
const VOLUMES = 5000;

const folder = mkdtempSync("/var/tmp/tsubo-volumes-");
const daemon = await openTestDaemon();

/** How long a shell says that it took. */
async function toldMs(command: string[]): Promise<number> {
  const { stderr } = await daemon.run(command);
  const [, minutes, seconds] = /real\s+(\d+)m\s*([\d.]+)s/.exec(stderr) ?? [];
  return (Number(minutes) * 60 + Number(seconds)) * 1000;
}

async function create(volume: string | undefined): Promise<void> {
  const binds = volume === undefined ? {} : { Binds: [`${volume}:/src`] };
  const made = await daemon.api("POST", "/containers/create", { Image: "many", Cmd: ["true"], HostConfig: binds });
  if (made.status !== 201) throw new Error(made.text);
}

try {
  const context = path.join(folder, "context");
  for (let number = 0; number < FILES; number += 1) {
    const inner = path.join(context, "src", `d${number % 50}`);
    mkdirSync(inner, { recursive: true });
    writeFileSync(path.join(inner, `f${number}`), randomBytes(4096));
  }
  writeFileSync(path.join(context, "Dockerfile"), "FROM busybox\nCOPY src /src\n");
  await daemon.start();
  await daemon.tsuboOk("build", "-q", "-t", "many", context);

  // Of each in turn, as the disk is quicker at some times than at others; under names that it has never seen.
  const copies = measured(`cp -a of ${FILES} files, sync -f`);
  const fills = measured("create of one with a new volume: copy-up");
  for (let round = 0; round < ROUNDS; round += 1) {
    const target = path.join(folder, randomBytes(10).toString("hex"));
    copies.add(await timed(() => run(["sh", "-c", `cp -a "$0" "$1" && sync -f "$1"`, path.join(context, "src"), target])));
    fills.add(await timed(() => create(`filled-${round}`)));
  }
  copies.tell();
  fills.tell();
  await row("create of a container", () => timed(() => create(undefined)));
  await row("create of one with a volume that has them", (round) => timed(() => create(`filled-${round}`)));
  await row("run --rm of busybox", () => timed(() => daemon.dockerOk("run", "--rm", "busybox", "true")));
  await row("run --rm of busybox -v named:/data", () =>
    timed(() => daemon.dockerOk("run", "--rm", "-v", "named:/data", "busybox", "true")),
  );
  await row("run --rm of busybox -v /data", () => timed(() => daemon.dockerOk("run", "--rm", "-v", "/data", "busybox", "true")));

  const write = (file: string): string[] => ["sh", "-c", `time dd if=/dev/zero of=${file} bs=1M count=256 conv=fsync`];
  const host = measured("dd of 256 MiB and fsync, on the host");
  const inside = measured("the same in a volume");
  await daemon.dockerOk("run", "-d", "--name", "writer", "-v", "written:/data", "busybox", "sleep", "10000");
  for (let round = 0; round < ROUNDS; round += 1) {
    host.add(await toldMs(["busybox", ...write(`${folder}/written`)]));
    inside.add(await toldMs([daemon.pathOf("docker"), "exec", "writer", ...write("/data/written")]));
  }
  host.tell();
  inside.tell();
  await daemon.dockerOk("rm", "-f", "writer");

  for (let number = 0; number < VOLUMES; number += 50) {
    const some = Array.from({ length: 50 }, (_, index) => `volume-${number + index}`);
    await Promise.all(some.map((Name) => daemon.api("POST", "/volumes/create", { Name })));
  }
  await row(`GET /volumes of ${VOLUMES}`, () => timed(() => daemon.api("GET", "/volumes")));
  const dangling = `/volumes?filters=${encodeURIComponent('{"dangling":["true"]}')}`;
  await row("the dangling of them", () => timed(() => daemon.api("GET", dangling)));
  await row("docker volume ls of them", () => timed(() => daemon.dockerOk("volume", "ls", "-q")));
  await daemon.api("GET", "/tsubo/lag?reset=1");
  for (let round = 0; round < ROUNDS; round += 1) await daemon.api("GET", "/volumes");
  // The shape is that of engine/system/lag.ts.
  console.log("the loop meanwhile", JSON.stringify((await daemon.api("GET", "/tsubo/lag")).json()));
  await row("start of the daemon with them", async () => {
    await daemon.stop();
    return timed(() => daemon.start());
  });
  await row("volume create beside them", (round) => timed(() => daemon.api("POST", "/volumes/create", { Name: `one-${round}` })));
  await row("volume rm beside them", (round) => timed(() => daemon.api("DELETE", `/volumes/one-${round}`)));
} finally {
  await daemon.close();
  rmSync(folder, { recursive: true, force: true });
}
