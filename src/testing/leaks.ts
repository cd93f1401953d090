import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { paths, type Roots } from "../store/roots.ts";
import { run } from "./run.ts";

/**
 * An independent look at the machine for what a daemon left behind: it trusts nothing that the daemon says and knows only where its
 * roots, its cgroups and its network are. The doctor looks from the inside, this from the outside; both must find nothing.
 */
export interface LookFor {
  roots: Roots;
  cgroupParent: string;
  bridge: string;
  netns: string | undefined;
  /** A daemon that runs without containers has a bridge, a keeper and its own files; one that stopped has no process. */
  phase: "running" | "stopped";
}

/** One line for each thing found. */
export type Traces = string[];

export async function findTraces(look: LookFor): Promise<Traces> {
  return [
    ...mountsUnder(look.roots).map((target) => `mount ${target}`),
    ...(await linksOf(look)),
    ...cgroupFolders(look.cgroupParent)
      .filter((folder) => path.basename(folder) !== path.basename(look.cgroupParent))
      .map((folder) => `cgroup ${folder}`),
    ...processesOf(look),
    ...filesOf(look.roots),
  ];
}

/** Takes away whatever a failed test left, so that it cannot fail others. */
export async function sweepTraces({ roots, cgroupParent, bridge, netns }: Omit<LookFor, "phase">): Promise<void> {
  for (const pid of keeperPids(roots)) process.kill(pid, "SIGKILL");
  for (const folder of cgroupFolders(cgroupParent).toReversed()) {
    for (const pid of readOrEmpty(path.join(folder, "cgroup.procs")).split("\n").filter(Boolean)) {
      // 0 is a process of a pid namespace that is not ours to see, and would mean ourselves.
      if (Number(pid) > 0) process.kill(Number(pid), "SIGKILL");
    }
    await removeCgroup(folder);
  }
  for (const target of mountsUnder(roots).toReversed()) await run(["umount", "-l", target]);
  if (netns === undefined) {
    // A bridge and rules are the daemon's to keep when it stops, as dockerd keeps them.
    await run(["ip", "link", "delete", bridge]);
    await run(["nft", "delete", "table", "inet", `tsubo_${createHash("sha256").update(roots.exec).digest("hex").slice(0, 8)}`]);
  } else await run(["ip", "netns", "delete", path.basename(netns)]);
}

/** A group can be removed a moment after its last process ended. */
async function removeCgroup(folder: string): Promise<void> {
  for (let tries = 50; tries > 0 && existsSync(folder); tries -= 1) {
    const removed = await run(["rmdir", folder]);
    if (removed.code !== 0) await sleep(40);
  }
}

/** Pids of the keepers that serve these roots. */
export function keeperPids(roots: Roots): number[] {
  return processes()
    .filter(({ commandLine }) => commandLine.includes("tsubo-keeper") && commandLine.includes(roots.exec))
    .map(({ pid }) => pid);
}

/** Every cgroup folder at and below `parent` in every mounted hierarchy, parents first. */
export function cgroupFolders(parent: string): string[] {
  const hierarchies = mountTable().filter(({ type }) => type === "cgroup" || type === "cgroup2");
  return hierarchies.flatMap(({ target }) => {
    const top = path.join(target, parent);
    if (!existsSync(top)) return [];
    const below = readdirSync(top, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => path.join(entry.parentPath, entry.name));
    return [top, ...below.toSorted()];
  });
}

function mountsUnder(roots: Roots): string[] {
  return mountTable()
    .map(({ target }) => target)
    .filter((target) => [roots.data, roots.exec].some((root) => target.startsWith(`${root}/`)));
}

/** Links on our bridge, and in a private namespace any link but `lo` and the bridge. */
async function linksOf({ bridge, netns }: LookFor): Promise<Traces> {
  const enter = netns === undefined ? [] : ["nsenter", `--net=${netns}`];
  const listed = await run([...enter, "ip", "-json", "link", "show"]);
  if (listed.code !== 0) return [`ip link show failed: ${listed.stderr}`];
  // The shape is iproute2's.
  const links = JSON.parse(listed.stdout) as { ifname: string; master?: string }[];
  return links
    .filter(({ ifname, master }) => master === bridge || (netns !== undefined && ifname !== "lo" && ifname !== bridge))
    .map(({ ifname }) => `link ${ifname}`);
}

/**
 * Processes that name our roots, or in whose own mount namespace our layers are mounted; but not the daemon and the keeper while they run.
 */
function processesOf({ roots, phase }: LookFor): Traces {
  const ours = readlinkSync("/proc/self/ns/mnt");
  return processes()
    .filter(({ pid, commandLine }) => {
      if (pid === process.pid) return false;
      const isOwn = /\btsubo(d|-keeper)(\.main)?(\.cjs)?\b/.test(commandLine) && phase === "running";
      const namesRoots = commandLine.includes(roots.data) || commandLine.includes(roots.exec);
      return (namesRoots && !isOwn) || (mountNamespaceOf(pid) !== ours && mountsOf(pid).includes(`${roots.data}/`));
    })
    .map(({ pid, commandLine }) => `process ${pid}: ${commandLine}`);
}

function filesOf(roots: Roots): Traces {
  // Not layers-trash: what is in it is deleted in its own time.
  const mustBeEmpty = [paths.containers, paths.volumesFilling, paths.partialBlobs, paths.runtime, paths.netns, paths.bundles, paths.pty];
  return mustBeEmpty.flatMap((folderOf) => {
    const folder = folderOf(roots);
    return existsSync(folder)
      ? readdirSync(folder).map((name) => `file ${path.join(folder, name)}${contentOf(path.join(folder, name))}`)
      : [];
  });
}

/** What is in a folder that should not be there tells who made it. */
function contentOf(file: string): string {
  try {
    return ` (${readdirSync(file).join(", ")})`;
  } catch {
    return "";
  }
}

function mountTable(): { target: string; type: string }[] {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, target = "", type = ""] = line.split(" ");
      return { target: target.replaceAll("\\040", " "), type };
    });
}

function processes(): { pid: number; commandLine: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), commandLine: readOrEmpty(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim() }))
    .filter(({ commandLine }) => commandLine !== "");
}

function mountNamespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return "";
  }
}

function mountsOf(pid: number): string {
  return readOrEmpty(`/proc/${pid}/mountinfo`);
}

/** A process may end while we look at it. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
