import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import { paths, type Roots } from "../../store/roots.ts";
import type { DoctorInputs, Findings, KernelObject, KnownContainer } from "./doctor.ts";

const RESTART = "restart the daemon: start-up removes what nobody owns";

/** The kernel's part of the doctor: mounts, cgroups, processes, and what the networks have there. */
export async function kernelProblems(inputs: DoctorInputs, findings: Findings): Promise<void> {
  const running = inputs.containers().filter(({ pid }) => pid !== undefined);
  const mounts = await readMountTable();
  checkMounts(inputs.roots, running, mounts, findings);
  await checkCgroups(inputs, running, mounts, findings);
  await checkProcesses(inputs, running, findings);
  await checkNetworks(inputs, findings);
}

/** Below the bundle or the namespace file of a running container, or in a volume that it has, a mount has an owner; anywhere else it has none. */
function checkMounts(roots: Roots, running: KnownContainer[], mounts: Mount[], findings: Findings): void {
  const ours = mounts.filter(({ target }) => isBelow(target, roots.data) || isBelow(target, roots.exec));
  findings.count("mounts", ours.length);
  const isOwned = (target: string): boolean =>
    running.some(
      ({ id, volumes }) =>
        isBelow(target, paths.bundle(roots, id)) ||
        path.basename(target).startsWith(id) ||
        volumes.some((name) => isBelow(target, paths.volume(roots, name))),
    );
  for (const { target, type } of ours.filter((mount) => !isOwned(mount.target))) {
    findings.report({
      kind: "mount",
      what: target,
      detail: `${type}, and no running container has it`,
      wayOut: `${RESTART}, or: umount ${target}`,
    });
  }
  const targets = new Set(ours.map(({ target }) => target));
  for (const { id } of running.filter((container) => !targets.has(paths.rootfs(roots, container.id)))) {
    findings.report({
      kind: "mount",
      what: paths.rootfs(roots, id),
      detail: `container ${shortId(id)} runs, but its root file system is not mounted`,
      wayOut: `docker restart ${shortId(id)}`,
    });
  }
}

/** Below our parent every group is a running container's, in every hierarchy. */
async function checkCgroups({ cgroupParent }: DoctorInputs, running: KnownContainer[], mounts: Mount[], findings: Findings): Promise<void> {
  const owned = new Set(running.map(({ cgroupsPath }) => cgroupsPath));
  let count = 0;
  for (const { target } of mounts.filter(({ type }) => type === "cgroup" || type === "cgroup2")) {
    const names = await foldersIn(path.join(target, cgroupParent));
    count += names.length;
    for (const name of names.filter((child) => !owned.has(path.join(cgroupParent, child)))) {
      findings.report({
        kind: "cgroup",
        what: path.join(target, cgroupParent, name),
        detail: "no running container has it",
        wayOut: `${RESTART}, or: rmdir it, once its cgroup.procs is empty`,
      });
    }
  }
  findings.count("cgroups", count);
}

/** Who runs by the database, by the keeper and by the kernel. */
async function checkProcesses(inputs: DoctorInputs, running: KnownContainer[], findings: Findings): Promise<void> {
  const kept = new Map((await inputs.kept()).map((container) => [container.id, container]));
  findings.count("containers held by the keeper", kept.size);
  for (const { id, pid = 0 } of running) {
    const what = `container ${shortId(id)}`;
    const wayOut = RESTART;
    if (!(await isAlive(pid))) findings.report({ kind: "process", what, detail: `runs by the record, but pid ${pid} is gone`, wayOut });
    const held = kept.get(id);
    if (held === undefined)
      findings.report({ kind: "process", what, detail: "runs by the record, but the keeper does not hold it", wayOut });
    else if (held.pid !== pid)
      findings.report({ kind: "process", what, detail: `pid ${pid} by the record, ${held.pid} by the keeper`, wayOut });
    kept.delete(id);
  }
  for (const { id, pid, isRunning } of kept.values()) {
    const detail = isRunning
      ? `the keeper runs it as pid ${pid}; by the record it does not run`
      : "it ended, and the keeper was not told to let go of it";
    findings.report({ kind: "process", what: `container ${shortId(id)}`, detail, wayOut: RESTART });
  }
}

async function checkNetworks(inputs: DoctorInputs, findings: Findings): Promise<void> {
  const { expected, found } = await inputs.networks();
  findings.count("network objects", found.length);
  const nameOf = ({ kind, name }: KernelObject): string => `${kind} ${name}`;
  const wanted = new Set(expected.map(nameOf));
  const there = new Set(found.map(nameOf));
  for (const object of found.filter((one) => !wanted.has(nameOf(one)))) {
    findings.report({ kind: object.kind, what: object.name, detail: "there, and no running container has it", wayOut: RESTART });
  }
  for (const object of expected.filter((one) => !there.has(nameOf(one)))) {
    findings.report({
      kind: object.kind,
      what: object.name,
      detail: "a running container should have it, and it is not there",
      wayOut: RESTART,
    });
  }
}

interface Mount {
  target: string;
  type: string;
}

async function readMountTable(): Promise<Mount[]> {
  const text = await readFile("/proc/self/mounts", "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, target = "", type = ""] = line.split(" ");
      return { target: target.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))), type };
    });
}

function isBelow(target: string, folder: string): boolean {
  return target.startsWith(`${folder}/`);
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** A zombie has ended: the keeper has not reaped it yet. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return !/\) [ZX] /.test(stat);
  } catch {
    return false;
  }
}
