import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import { cgroupFolders } from "../src/testing/leaks.ts";
import { useDaemon } from "./harness.ts";

/** The doctor must find what is planted, or its good health says nothing. */

const daemon = useDaemon();
const STRAY = "f".repeat(64);

test("good health: no problem, and what was looked at", async () => {
  await daemon().tsuboOk("run", "-d", "busybox", "sleep", "1000");
  const examined = await daemon().tsubo("doctor");
  expect([examined.code, examined.stderr]).toEqual([0, ""]);
  expect(examined.stdout).toContain("mounts");
});

test("a mount, a cgroup and a bundle that nobody owns", async () => {
  await daemon().tsuboOk("run", "--rm", "busybox", "true");
  const { roots } = daemon();
  const bundle = paths.bundle(roots, STRAY);
  const rootfs = paths.rootfs(roots, STRAY);
  const [parent = ""] = cgroupFolders(daemon().cgroupParent);
  const group = path.join(parent, STRAY);
  mkdirSync(rootfs, { recursive: true });
  mkdirSync(group);
  await daemon().run(["mount", "-t", "tmpfs", "stray", rootfs]);
  try {
    const examined = await daemon().tsubo("doctor");
    expect(examined.code).toBe(1);
    for (const stray of [rootfs, group, bundle]) expect(examined.stdout).toContain(stray);
  } finally {
    await daemon().run(["umount", rootfs]);
    await daemon().run(["rm", "-r", bundle]);
    rmdirSync(group);
  }
});

test("a container folder without a container", async () => {
  const folder = paths.container(daemon().roots, STRAY);
  mkdirSync(folder);
  writeFileSync(path.join(folder, "hostname"), "x");
  try {
    expect((await daemon().tsubo("doctor")).stdout).toContain(folder);
  } finally {
    await daemon().run(["rm", "-r", folder]);
  }
});

test("a volume without its folder, a folder without its volume, a volume mounted for nobody", async () => {
  const { roots } = daemon();
  await daemon().dockerOk("volume", "create", "gone");
  await daemon().run(["rm", "-r", paths.volume(roots, "gone")]);
  mkdirSync(path.join(paths.volume(roots, "stray"), "_data"), { recursive: true });
  await daemon().dockerOk("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "mounted");
  const mounted = path.join(paths.volume(roots, "mounted"), "_data");
  await daemon().run(["mount", "-t", "tmpfs", "mounted", mounted]);
  try {
    const examined = await daemon().tsubo("doctor");
    for (const stray of ["volume gone", paths.volume(roots, "stray"), mounted]) expect(examined.stdout).toContain(stray);
    // A start mends all three, as nothing is lost by it.
    await daemon().kill();
    await daemon().start();
    expect((await daemon().tsubo("doctor")).code).toBe(0);
  } finally {
    await daemon().run(["umount", mounted]);
  }
});
