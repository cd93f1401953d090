import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { codeOf } from "../base/errors.ts";
import type { ContainerSpec, Exit } from "./keeper.ts";
import { decodeExit, encodeExit, type WireExit } from "./protocol.ts";

/**
 * What the keeper writes down, so that the next one knows: `keeper.json` in a container's bundle (volatile, as the container is) and the
 * exit file of its specification (durable).
 */
export interface ContainerRecord {
  version: 1;
  spec: ContainerSpec;
  /** Undefined while the runtime makes it: such a container is cleared away by the next keeper. */
  process: ProcessRecord | undefined;
  exit: WireExit | undefined;
  execs: Record<string, ExecRecord>;
}

export interface ProcessRecord {
  pid: number;
  /** From /proc/<pid>/stat: tells the process from a later one with its pid. */
  startTicks: string;
  startedAtNs: string;
}

export interface ExecRecord {
  process: ProcessRecord;
  tty: boolean;
  exit: WireExit | undefined;
  memo: string;
}

const RECORD_NAME = "keeper.json";

export function writeRecord(record: ContainerRecord): void {
  writeRenamed(path.join(record.spec.bundlePath, RECORD_NAME), JSON.stringify(record));
}

function writeRenamed(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}

export function removeRecord(bundlePath: string): void {
  rmSync(path.join(bundlePath, RECORD_NAME), { force: true });
}

/** The record in a bundle; undefined when there is none that can be read. */
export function readRecord(bundlePath: string): ContainerRecord | undefined {
  try {
    // Written by a keeper of this format; the version is checked.
    const record = JSON.parse(readFileSync(path.join(bundlePath, RECORD_NAME), "utf8")) as ContainerRecord;
    return record.version === 1 ? record : undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Writes an exit down, durably but for a volatile container. `startedAtNs` tells the runs of one container apart. */
export async function writeExit(spec: ContainerSpec, process: ProcessRecord, exit: Exit): Promise<void> {
  const content = { id: spec.id, pid: process.pid, startedAtNs: process.startedAtNs, ...encodeExit(exit) };
  const text = `${JSON.stringify(content)}\n`;
  if (spec.volatile) writeRenamed(spec.exitPath, text);
  else await writeFileAtomic(spec.exitPath, text);
}

/** The durable exit of this very run, if it was written. */
export function readExit(spec: ContainerSpec, process: ProcessRecord): Exit | undefined {
  try {
    // Written by `writeExit`.
    const content = JSON.parse(readFileSync(spec.exitPath, "utf8")) as WireExit & { startedAtNs: string };
    return content.startedAtNs === process.startedAtNs ? decodeExit(content) : undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
