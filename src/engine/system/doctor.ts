import { setTimeout as sleep } from "node:timers/promises";

import type { Database } from "../../store/database.ts";
import type { Roots } from "../../store/roots.ts";
import { diskProblems } from "./doctor-disk.ts";
import { kernelProblems } from "./doctor-kernel.ts";

/**
 * The doctor: holds the database, the kernel and the disk against each other and names whatever one has and another lacks.
 *
 * It changes nothing and believes nobody: mounts, cgroups, processes and files are read from /proc, /sys and the roots as they are, not
 * asked of the parts that made them. A daemon at work always has something half made; so only what is found twice, with a pause in
 * between, is a *problem*. Every problem names the way out, which is most often a restart of the daemon: start-up is recovery.
 */
export interface DoctorInputs {
  roots: Roots;
  database: Database;
  /** The cgroup below which all containers have theirs, unless they name another. */
  cgroupParent: string;
  containers(): KnownContainer[];
  /** What the keeper holds; `execPids` as far as they still run. */
  kept(): Promise<HeldContainer[]>;
  /** Links, namespaces, rules, leases: what the networks' records ask for and what is there. */
  networks(): Promise<{ expected: KernelObject[]; found: KernelObject[] }>;
  /** True for a folder below `layers/` that is being filled right now. */
  isBeingFilled(layerFolder: string): boolean;
}

/** A container as the database has it. */
export interface KnownContainer {
  id: string;
  /** The first process, while it runs. */
  pid: number | undefined;
  cgroupsPath: string;
  /** Names of its volumes. */
  volumes: readonly string[];
}

/** A container as the keeper has it. */
export interface HeldContainer {
  id: string;
  pid: number;
  isRunning: boolean;
}

export interface KernelObject {
  kind: string;
  name: string;
}

export interface DoctorReport {
  /** What was looked at, so that an empty list of problems can be believed. */
  checked: { what: string; count: number }[];
  problems: Problem[];
}

export interface Problem {
  /** What sort of thing it is: mount, namespace, link, rule, lease, cgroup, process, file, record. */
  kind: string;
  /** Which one. */
  what: string;
  detail: string;
  wayOut: string;
}

/** What one look brought. */
export interface Findings {
  count(what: string, count: number): void;
  report(problem: Problem): void;
}

/** Longer than any step of an operation that leaves database and kernel apart. */
const SECOND_LOOK_MS = 400;

/** Looks at everything; twice where the first look found something. */
export async function runDoctor(inputs: DoctorInputs): Promise<DoctorReport> {
  const first = await look(inputs);
  if (first.problems.length === 0) return first;
  await sleep(SECOND_LOOK_MS);
  const second = await look(inputs);
  const seenBefore = new Set(first.problems.map(keyOf));
  return { checked: second.checked, problems: second.problems.filter((problem) => seenBefore.has(keyOf(problem))) };
}

async function look(inputs: DoctorInputs): Promise<DoctorReport> {
  const report: DoctorReport = { checked: [], problems: [] };
  const findings: Findings = {
    count: (what, count) => void report.checked.push({ what, count }),
    report: (problem) => void report.problems.push(problem),
  };
  findings.count("containers", inputs.containers().length);
  await kernelProblems(inputs, findings);
  await diskProblems(inputs, findings);
  return report;
}

function keyOf(problem: Problem): string {
  return `${problem.kind} ${problem.what}`;
}
