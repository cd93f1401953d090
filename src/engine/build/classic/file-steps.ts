import path from "node:path";

import { EngineError, messageOf } from "../../../base/errors.ts";
import { newId } from "../../../base/ids.ts";
import { chompHeredoc } from "../dockerfile/lines.ts";
import { expandHeredoc } from "../dockerfile/expand.ts";
import type { AddInstruction, CopyInstruction, Heredoc, WorkdirInstruction } from "../dockerfile/syntax.ts";
import type { Copy, CopyRequest } from "../context/copy-files.ts";
import { parseModeChange } from "../context/file-mode.ts";
import type { Selected, SelectRequest } from "../context/select.ts";
import { joinSums } from "../context/sums.ts";
import type { TreeSource } from "../context/tree-source.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { expandOne, workdirOf } from "./config-steps.ts";
import { ownerOf } from "./owner.ts";
import { cachedStep, type Step, type StepResult } from "./steps.ts";
import { shellOf, type StageState, variableOf } from "./stage-state.ts";

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
    const layer = await copyInto(step, {
      destination: `${folder}/`,
      copies: [],
      owner: { user: 0, group: 0 },
      mode: undefined,
      isLinked: false,
    });
    build.sayRemoved(text, containerId);
    return { containerId, layer };
  });
}

export async function copyStep(step: Step, instruction: CopyInstruction | AddInstruction): Promise<StageState> {
  const command = instruction.kind.toUpperCase();
  try {
    const from = instruction.kind === "copy" ? instruction.from : undefined;
    if (from === undefined) return await copyFrom(step, instruction, step.build.contextSource());
    const image = await step.build.treeOf(step, expandOne(step, from));
    return await step.build.run.read(image, (source) => copyFrom(step, instruction, source));
  } catch (error) {
    if (!(error instanceof EngineError) || error.message.startsWith("When using")) throw error;
    throw new EngineError(error.kind, `${command} failed: ${messageOf(error)}`, { cause: error });
  }
}

async function copyFrom(step: Step, instruction: CopyInstruction | AddInstruction, source: TreeSource): Promise<StageState> {
  const { state, build } = step;
  const command = instruction.kind.toUpperCase();
  const paths = instruction.sources.map((one) => expandOne(step, one));
  const destination = expandOne(step, instruction.destination);
  const parents = instruction.kind === "copy" && instruction.parents;
  const excludes = instruction.excludes.map((one) => expandOne(step, one));
  const chown = instruction.chown === undefined ? undefined : expandOne(step, instruction.chown);
  const mode = instruction.chmod === undefined ? undefined : parseModeChange(expandOne(step, instruction.chmod));
  const unpacks = instruction.kind === "add" && instruction.unpack !== false;

  const copies: Copy[] = [];
  const sums: string[] = [];
  const take = async (from: TreeSource, wanted: string[], archives: boolean): Promise<void> => {
    if (wanted.length === 0) return;
    const request: SelectRequest = { source: from, paths: wanted, excludes, parents };
    const selected = (await build.child("selectFiles", request, `looking for what ${command} names`)) as Selected;
    sums.push(...selected.sums);
    copies.push({ source: from, items: selected.items, excludes, parents, unpacks: archives });
  };
  await take(source, paths, unpacks);
  const files = instruction.heredocs.map((heredoc) => ({ name: heredoc.name, text: heredocText(step, heredoc) }));
  await take(
    { kind: "texts", files },
    files.map(({ name }) => name),
    false,
  );

  const [sum] = sums;
  if (sum === undefined) throw new EngineError("invalid", "no source files were specified");
  if (sums.length > 1 && !destination.endsWith("/")) {
    throw new EngineError(
      "invalid",
      `When using ${command} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  const hash = sums.length === 1 ? sum : joinSums("multi", sums);
  const flags = chown === undefined ? "" : `--chown=${chown} `;
  const comment = `#(nop) ${command} ${flags}${hash} in ${destination} `;
  const containerConfig: ContainerDefaults = { ...state.config, Cmd: [...shellOf(state.config), comment] };
  return cachedStep(step, containerConfig, state.config, async (): Promise<StepResult> => {
    const owner = chown === undefined ? { user: 0, group: 0 } : undefined;
    const layer = await copyInto(step, {
      destination: absolute(state, destination),
      copies,
      owner: owner ?? ((root) => ownerOf(root, chown ?? "")),
      mode,
      isLinked: instruction.link,
    });
    return { containerId: undefined, layer };
  });
}

type CopyWanted = Pick<CopyRequest, "destination" | "copies" | "mode" | "isLinked"> & {
  owner: CopyRequest["owner"] | ((root: string) => CopyRequest["owner"]);
};

async function copyInto({ build, state }: Step, wanted: CopyWanted): Promise<StepResult["layer"]> {
  const { run } = build;
  return run.slots.run(run.signal, () =>
    run.change(state.layer, async (root) => {
      const owner = typeof wanted.owner === "function" ? wanted.owner(root) : wanted.owner;
      const request: CopyRequest = { ...wanted, owner, root, spoolPath: run.filePath(), nowSeconds: Math.trunc(Date.now() / 1000) };
      await build.child("copyFiles", request, "copying files");
    }),
  );
}

/** Absolute, with the slash at its end that it was written with; `.` means a folder, too. */
function absolute(state: StageState, destination: string): string {
  const resolved = path.posix.resolve("/", state.config.WorkingDir ?? "", destination);
  const isFolder = /(?:^|\/)\.{0,2}$/.test(destination);
  return isFolder && resolved !== "/" ? `${resolved}/` : resolved;
}

function heredocText(step: Step, heredoc: Heredoc): string {
  const content = heredoc.chomp ? chompHeredoc(heredoc.content) : heredoc.content;
  return heredoc.expand ? expandHeredoc(content, variableOf(step.state), step.escape) : content;
}
