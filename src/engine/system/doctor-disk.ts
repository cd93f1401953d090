import { access, readdir } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import { paths } from "../../store/roots.ts";
import type { DoctorInputs, Findings } from "./doctor.ts";

/** The disk's part of the doctor: folders of containers, bundles, layers, blobs, and the records that name them. */
export async function diskProblems(inputs: DoctorInputs, findings: Findings): Promise<void> {
  await checkContainerFolders(inputs, findings);
  await checkRunFolders(inputs, findings);
  await checkLayers(inputs, findings);
  await checkImages(inputs, findings);
  await checkPackedLayers(inputs, findings);
  await checkVolumes(inputs, findings);
}

/** Every volume has its folder with the data and nothing else in it, every folder its volume. */
async function checkVolumes({ roots, database }: DoctorInputs, findings: Findings): Promise<void> {
  const names = database.sql
    .prepare("SELECT name FROM volumes")
    .all()
    .map((row) => String(row["name"]));
  findings.count("volumes", names.length);
  const folders = new Set(await namesIn(paths.volumes(roots)));
  for (const name of names) {
    folders.delete(name);
    const inside = await namesIn(paths.volume(roots, name));
    if (inside.length === 1 && inside[0] === "_data") continue;
    findings.report({
      kind: "record",
      what: `volume ${name}`,
      detail: `its folder ${paths.volume(roots, name)} holds ${inside.length === 0 ? "nothing" : inside.join(", ")}, not _data alone`,
      wayOut: "restart the daemon: start-up finishes what was cut short",
    });
  }
  for (const folder of folders) {
    findings.report({
      kind: "file",
      what: paths.volume(roots, folder),
      detail: "no volume has it",
      wayOut: `docker volume create ${folder} takes it over; or delete the folder`,
    });
  }
}

async function checkContainerFolders(inputs: DoctorInputs, findings: Findings): Promise<void> {
  const { roots } = inputs;
  const names = new Set(await namesIn(paths.containers(roots)));
  findings.count("container folders", names.size);
  for (const { id } of inputs.containers()) {
    if (names.delete(id)) continue;
    findings.report({
      kind: "record",
      what: `container ${shortId(id)}`,
      detail: `its folder ${paths.container(roots, id)} is gone`,
      wayOut: `docker rm -f ${shortId(id)}`,
    });
  }
  for (const name of names) {
    findings.report({
      kind: "file",
      what: paths.container(roots, name),
      detail: "no container has it",
      wayOut: "restart the daemon, or delete the folder",
    });
  }
}

/** What is in the volatile root belongs to containers that run. */
async function checkRunFolders(inputs: DoctorInputs, findings: Findings): Promise<void> {
  const { roots } = inputs;
  const running = inputs.containers().filter(({ pid }) => pid !== undefined);
  for (const [what, folder] of [
    ["bundles", paths.bundles(roots)],
    ["runtime states", paths.runtime(roots)],
    ["network namespaces", paths.netns(roots)],
    ["console sockets", paths.pty(roots)],
  ] as const) {
    const names = await namesIn(folder);
    findings.count(what, names.length);
    for (const name of names.filter((one) => !running.some(({ id }) => one.startsWith(id)))) {
      findings.report({
        kind: "file",
        what: path.join(folder, name),
        detail: "no running container has it",
        wayOut: "restart the daemon: start-up removes it",
      });
    }
  }
}

async function checkLayers(inputs: DoctorInputs, findings: Findings): Promise<void> {
  const { roots, database } = inputs;
  const rows = database.sql.prepare("SELECT chain_id, folder FROM layers").all();
  findings.count("layers", rows.length);
  const folders = new Set(await namesIn(paths.layers(roots)));
  for (const row of rows) {
    if (folders.delete(String(row["folder"]))) continue;
    findings.report({
      kind: "record",
      what: `layer ${String(row["chain_id"])}`,
      detail: `its folder ${path.join(paths.layers(roots), String(row["folder"]))} is gone`,
      wayOut: "remove the images that have it and pull them again",
    });
  }
  for (const folder of folders) {
    if (inputs.isBeingFilled(folder)) continue;
    findings.report({
      kind: "file",
      what: path.join(paths.layers(roots), folder),
      detail: "no layer has it",
      wayOut: "restart the daemon: start-up removes it",
    });
  }
}

/** Compressed layers go with the layers that they are of. */
async function checkPackedLayers({ roots, database }: DoctorInputs, findings: Findings): Promise<void> {
  const names = await namesIn(paths.packedLayers(roots));
  findings.count("compressed layers", names.length);
  const layers = database.sql.prepare("SELECT diff_id FROM layers").all();
  const diffIds = new Set(layers.map((row) => String(row["diff_id"]).replace(/^sha256:/, "")));
  for (const name of names.filter((one) => !diffIds.has(one.split(".", 1)[0] ?? ""))) {
    findings.report({
      kind: "file",
      what: path.join(paths.packedLayers(roots), name),
      detail: "no layer has it",
      wayOut: "restart the daemon: start-up removes it",
    });
  }
}

/** An image is whole when its config is there; its layers are held by foreign keys. */
async function checkImages({ roots, database }: DoctorInputs, findings: Findings): Promise<void> {
  const ids = database.sql
    .prepare("SELECT id FROM images")
    .all()
    .map((row) => String(row["id"]));
  findings.count("images", ids.length);
  for (const id of ids) {
    const file = path.join(paths.blobs(roots), id.replace(/^sha256:/, ""));
    if (await exists(file)) continue;
    findings.report({
      kind: "record",
      what: `image ${shortId(id)}`,
      detail: `its config ${file} is gone`,
      wayOut: `docker rmi -f ${shortId(id)}, and pull it again`,
    });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
