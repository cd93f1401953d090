import path from "node:path";

import { EngineError, messageOf } from "../../../base/errors.ts";
import { newId } from "../../../base/ids.ts";
import type { AddInstruction, CopyInstruction, WorkdirInstruction } from "../../../dockerfile/syntax.ts";
import { parseModeChange } from "../context/file-mode.ts";
import { joinSums } from "../context/sums.ts";
import type { TreeSource } from "../context/tree-source.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { type FileOperation, sourceVertex, Vertex } from "../graph/operation.ts";
import { expandOne, workdirOf } from "./config-steps.ts";
import { findSources } from "./copy-sources.ts";
import { placeOf, readPlace } from "./places.ts";
import { cachedStep, type Step, type StepResult } from "./steps.ts";
import type { StageState } from "./stage-state.ts";
import { shellOf } from "../../images/config-instructions.ts";

/** Steps that change files without running anything: COPY, ADD, WORKDIR. */

/** WORKDIR: the folder is made where it is missing. */
export function workdirStep(step: Step, instruction: WorkdirInstruction): Promise<StageState> {
  const folder = workdirOf(step, instruction);
  const { build, state, text } = step;
  const next: ContainerDefaults = { ...state.config, WorkingDir: folder };
  const containerConfig: ContainerDefaults = { ...next, Cmd: [...shellOf(next), `#(nop) WORKDIR ${folder}`], Labels: next.Labels ?? {} };
  return cachedStep(step, containerConfig, next, async () => {
    const containerId = newId();
    containerConfig.Hostname = containerId.slice(0, 12);
    text.write(` ---> Running in ${containerConfig.Hostname}\n`);
    const vertex = new Vertex({ ...NO_COPIES, base: state.files, destination: `${folder}/` });
    const solved = await build.solver.solve(vertex, { ignoreResults: build.isWithoutCache(step.stage) });
    build.sayRemoved(text, containerId);
    return { containerId, files: { vertex, solved } };
  });
}

export async function copyStep(step: Step, instruction: CopyInstruction | AddInstruction): Promise<StageState> {
  const from = instruction.kind === "copy" ? instruction.from : undefined;
  if (from === undefined) return copyFrom(step, instruction, step.build.context);
  const place = await saying(`invalid from flag value ${from}`, placeOf(step.build, step.stage, from));
  return readPlace(step.build, place, (source) => copyFrom(step, instruction, source));
}

/** The same, its error with what could not be done before it. */
async function saying<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    // Whom --chown means is told as it is, as Docker does.
    if (!(error instanceof EngineError) || error.message.startsWith("unable to convert")) throw error;
    throw new EngineError(error.kind, `${what}: ${messageOf(error)}`, { cause: error });
  }
}

async function copyFrom(step: Step, instruction: CopyInstruction | AddInstruction, source: TreeSource): Promise<StageState> {
  const { state } = step;
  const command = instruction.kind.toUpperCase();
  const destination = expandOne(step, instruction.destination);
  const expanded = (flag: string | undefined): string | undefined => (flag === undefined ? flag : expandOne(step, flag) || undefined);
  const chown = expanded(instruction.chown);
  const chmod = expanded(instruction.chmod);
  const mode = chmod === undefined ? undefined : parseModeChange(chmod);
  const { copies, sums } = await saying(`${command} failed`, findSources(step, instruction, source));

  const [sum] = sums;
  if (sum === undefined) throw new EngineError("invalid", `${command} failed: no source files were specified`);
  if (sums.length > 1 && !destination.endsWith("/")) {
    throw new EngineError(
      "invalid",
      `When using ${command} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  const hash = sums.length === 1 ? sum : joinSums("multi", sums);
  const comment = `#(nop) ${command} ${chown === undefined ? "" : `--chown=${chown}`}${hash} in ${destination} `;
  const containerConfig: ContainerDefaults = { ...state.config, Cmd: [...shellOf(state.config), comment] };
  const work = async (): Promise<StepResult> => {
    const copy: Omit<FileOperation, "base"> = { kind: "file", copies, sums, destination: absolute(state, destination), owner: chown, mode };
    const vertex = instruction.link
      ? new Vertex({
          kind: "merge",
          base: state.files,
          upper: new Vertex({ ...copy, base: sourceVertex(step.build.engine.layers, undefined) }),
        })
      : new Vertex({ ...copy, base: state.files });
    const solving = step.build.solver.solve(vertex, { ignoreResults: step.build.isWithoutCache(step.stage) });
    const solved = await saying("failed to copy files", solving);
    return { containerId: undefined, files: { vertex, solved } };
  };
  return cachedStep(step, containerConfig, state.config, work, furtherKeys(instruction, chmod));
}

/** What Docker's classic builder has no flags for, and so does not compare. */
function furtherKeys(instruction: CopyInstruction | AddInstruction, chmod: string | undefined): string[] {
  const flags = {
    chmod,
    link: instruction.link,
    parents: instruction.kind === "copy" && instruction.parents,
    unpack: instruction.kind === "add" && instruction.unpack,
  };
  return Object.entries(flags).flatMap(([name, value]) => (value === undefined || value === false ? [] : [`${name}=${value}`]));
}

/** A folder made, and nothing copied. */
const NO_COPIES = { kind: "file", copies: [], sums: [], owner: undefined, mode: undefined } as const satisfies Partial<FileOperation>;

/** Absolute, with the slash at its end that it was written with; `.` means a folder, too. */
function absolute(state: StageState, destination: string): string {
  const resolved = path.posix.resolve("/", state.config.WorkingDir ?? "", destination);
  const isFolder = /(?:^|\/)\.{0,2}$/.test(destination);
  return isFolder && resolved !== "/" ? `${resolved}/` : resolved;
}
