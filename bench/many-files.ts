import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import path from "node:path";

import { openTestDaemon } from "../src/testing/daemon.ts";
import { run } from "../src/testing/run.ts";
import { row, timed } from "./measure.ts";

/**
 * Builds of 5,000 files of 4 KiB on this machine, by our own command line: the whole call, medians in milliseconds. As root, after `npm run build`:
 *
 *     node bench/many-files.ts
 */
const FILES = 5000;

const folder = mkdtempSync("/var/tmp/tsubo-many-");
const daemon = await openTestDaemon();

try {
  const context = path.join(folder, "context");
  for (let number = 0; number < FILES; number += 1) {
    const inner = path.join(context, "src", `d${number % 50}`);
    mkdirSync(inner, { recursive: true });
    writeFileSync(path.join(inner, `f${number}`), randomBytes(4096));
  }
  writeFileSync(path.join(context, "Dockerfile"), "FROM busybox\nCOPY src /src\n");
  await daemon.start();
  const build = (...options: string[]): Promise<number> => timed(() => daemon.tsuboOk("build", "-q", "-t", "many", ...options, context));
  await build();

  await row("cp -a of the files", async (round) => {
    const target = path.join(folder, `copy-${round}`);
    return timed(() => run(["cp", "-a", path.join(context, "src"), target]));
  });
  await row("tsubo version (what any call takes)", () => timed(() => daemon.tsuboOk("version")));
  await row("COPY, nothing cached", () => build("--no-cache"));
  await row("one file changed", async (round) => {
    writeFileSync(path.join(context, "src/d0/f0"), randomBytes(4096 + round));
    return build();
  });
  await row("nothing changed", () => build());
} finally {
  await daemon.close();
  rmSync(folder, { recursive: true, force: true });
}
