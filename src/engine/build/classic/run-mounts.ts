import { chmod, chown, mkdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";

import { EngineError } from "../../../base/errors.ts";
import type { LayerParent, MountPlace } from "../../../store/layers.ts";
import type { OciMount } from "../../containers/oci-mounts.ts";
import type { CopyRequest } from "../context/copy-files.ts";
import { FolderTree } from "../context/folder-tree.ts";
import type { Selected, SelectRequest } from "../context/select.ts";
import { resolveInTree } from "../context/tree.ts";
import type { TreeSource } from "../context/tree-source.ts";
import { type Mount, parseMount } from "../../../dockerfile/mount.ts";
import type { RunInstruction } from "../../../dockerfile/syntax.ts";
import type { ExecMounts, PreparedMounts } from "../graph/operation.ts";
import { lendAgent } from "../ssh-agent.ts";
import { expandOne } from "./config-steps.ts";
import { placeOf, readPlace } from "./places.ts";
import type { Step } from "./steps.ts";

/** The mounts of one RUN. A heredoc that begins with `#!` is one, too: a program, read-only. */
export async function planMounts(
  step: Step,
  instruction: RunInstruction,
  script: { path: string; content: string } | undefined,
): Promise<ExecMounts> {
  const planned: PlannedMount[] = script === undefined ? [] : [planScript(step, script)];
  for (const flag of instruction.mounts)
    planned.push(
      await planMount(
        step,
        parseMount(flag, (word) => expandOne(step, word)),
      ),
    );
  return {
    keys: planned.map(({ key }) => key),
    async prepare(stack) {
      const made: PreparedMounts = { mounts: [], places: [], env: [] };
      for (const { make } of planned) {
        const { mount, env } = await make(stack);
        if (mount !== undefined) made.mounts.push(mount);
        if (env !== undefined) made.env.push(env);
      }
      made.places = await findPlaces(step, made.mounts);
      return made;
    },
  };
}

function planScript({ build }: Step, { path: target, content }: { path: string; content: string }): PlannedMount {
  return {
    key: JSON.stringify(["script", target, content]),
    async make(stack) {
      const file = build.run.filePath();
      stack.defer(() => build.run.discard(file));
      await writeFile(file, content, { flag: "wx", mode: 0o755 });
      await chmod(file, 0o755);
      return { mount: bind(target, file, true) };
    },
  };
}

interface PlannedMount {
  key: string;
  make: (stack: AsyncDisposableStack) => Promise<{ mount?: OciMount; env?: string }>;
}

function planMount(step: Step, mount: Mount): Promise<PlannedMount> {
  switch (mount.type) {
    case "bind":
      return planBind(step, mount);
    case "cache":
      return Promise.resolve(planCache(step, mount));
    case "tmpfs":
      return Promise.resolve(planTmpfs(step, mount));
    case "secret":
      return Promise.resolve(planSecret(step, mount));
    case "ssh":
      return Promise.resolve(planSsh(step, mount));
  }
}

/** A part of the context, of a stage or of an image. What is written to it is lost. */
async function planBind(step: Step, mount: Mount): Promise<PlannedMount> {
  const { build } = step;
  const target = targetOf(step, mount);
  const source = (mount.source ?? "").replace(/^\/+/, "");
  const place =
    mount.from === undefined ? ({ kind: "tree", source: build.context } as const) : await placeOf(build, step.stage, mount.from);
  const { items, sums } = await readPlace(build, place, (tree) => selectOne(step, tree, source));
  return {
    key: JSON.stringify(["bind", target, mount.readOnly, sums]),
    async make(stack) {
      if (place.kind === "files") {
        const { layer } = await build.solver.solve(place.files);
        return { mount: bind(target, await mountPart(step, layer, source, mount.readOnly, stack), mount.readOnly) };
      }
      const folder = build.run.filePath();
      stack.defer(() => build.run.discard(folder));
      await mkdir(folder, { mode: 0o700 });
      await copyTo(step, place.source, items, folder);
      return { mount: bind(target, path.join(folder, items[0]?.isFolder === true ? "content" : "content/file"), mount.readOnly) };
    },
  };
}

/** The place of a part of a layer's tree in a mount of its own. */
async function mountPart(step: Step, layer: LayerParent, source: string, readOnly: boolean, stack: AsyncDisposableStack): Promise<string> {
  const { run } = step.build;
  const root = readOnly ? await run.openReadOnly(layer, stack) : await run.openScratch(layer, stack);
  const tree = new FolderTree(root);
  try {
    return Buffer.from(path.join(root, resolveInTree(tree, Buffer.from(source, "utf8").toString("latin1"))), "latin1").toString("utf8");
  } finally {
    tree.close();
  }
}

async function selectOne(step: Step, source: TreeSource, wanted: string): Promise<Selected> {
  const request: SelectRequest = { source, paths: [wanted], excludes: [], parents: false };
  return (await step.build.run.child("selectFiles", request, "looking for what RUN mounts")) as Selected;
}

/** A file becomes `content/file`, a folder `content`. */
async function copyTo(step: Step, source: TreeSource, items: Selected["items"], folder: string): Promise<void> {
  const isFolder = items[0]?.isFolder === true;
  const request: CopyRequest = {
    root: folder,
    copies: [{ source, items, excludes: [], parents: false, unpacks: false }],
    destination: isFolder ? "/content/" : "/content/file",
    owner: { user: 0, group: 0 },
    mode: undefined,
    spoolPath: step.build.run.filePath(),
    nowSeconds: 0,
  };
  await step.build.run.child("copyFiles", request, "copying what RUN mounts");
}

/** A folder that outlives the build; its content is nobody's business but the steps'. */
function planCache(step: Step, mount: Mount): PlannedMount {
  const { build } = step;
  const target = targetOf(step, mount);
  const id = mount.id ?? target;
  return {
    key: JSON.stringify(["cache", target, mount.readOnly]),
    async make(stack) {
      const held = await build.engine.cacheMounts.open(id, mount.sharing ?? "shared", build.run.signal);
      stack.defer(() => held.release());
      if (held.isNew) {
        if (mount.from !== undefined) await fillCache(step, mount, held.folder);
        await chown(held.folder, mount.uid ?? 0, mount.gid ?? 0);
        await chmod(held.folder, mount.mode ?? 0o755);
      }
      return { mount: bind(target, held.folder, mount.readOnly) };
    },
  };
}

async function fillCache(step: Step, mount: Mount, folder: string): Promise<void> {
  const { build } = step;
  const place = await placeOf(build, step.stage, mount.from ?? "");
  await readPlace(build, place, async (source) => {
    const { items } = await selectOne(step, source, (mount.source ?? "").replace(/^\/+/, ""));
    const request: CopyRequest = {
      root: folder,
      copies: [{ source, items, excludes: [], parents: false, unpacks: false }],
      destination: "/",
      owner: { user: mount.uid ?? 0, group: mount.gid ?? 0 },
      mode: undefined,
      spoolPath: build.run.filePath(),
      nowSeconds: 0,
    };
    await build.run.child("copyFiles", request, "filling a cache mount");
  });
}

function planTmpfs(step: Step, mount: Mount): PlannedMount {
  const target = targetOf(step, mount);
  const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
  return {
    key: JSON.stringify(["tmpfs", target, mount.sizeBytes]),
    make: () =>
      Promise.resolve({
        mount: { destination: target, type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777", ...size] },
      }),
  };
}

/** A secret is written to a file of its own for the step, in memory where the host has such a place. It counts by its id only. */
function planSecret(step: Step, mount: Mount): PlannedMount {
  const { build } = step;
  const id = mount.id ?? mount.source ?? path.posix.basename(mount.target ?? "");
  const isFile = mount.env === undefined || mount.target !== undefined;
  const target = path.posix.resolve("/run/secrets", mount.target ?? id);
  return {
    key: JSON.stringify(["secret", id, isFile ? target : "", mount.env ?? "", mount.mode, mount.uid, mount.gid]),
    async make(stack) {
      const secret = build.request.secrets.get(id);
      if (secret === undefined) {
        if (mount.required) throw new EngineError("invalid", `secret ${id}: not found`);
        return {};
      }
      const env = mount.env === undefined ? {} : { env: `${mount.env === "" ? id : mount.env}=${secret.toString("utf8")}` };
      if (!isFile) return env;
      const file = build.run.secretPath();
      stack.defer(() => build.run.discard(file));
      await writeFile(file, secret, { flag: "wx", mode: 0o600 });
      await chown(file, mount.uid ?? 0, mount.gid ?? 0);
      await chmod(file, mount.mode ?? 0o400);
      return { ...env, mount: bind(target, file, true) };
    },
  };
}

/** The client's ssh agent, for clients on this machine. */
function planSsh({ build }: Step, mount: Mount): PlannedMount {
  const id = mount.id ?? "default";
  const target = mount.target ?? "/run/buildkit/ssh_agent.0";
  return {
    key: JSON.stringify(["ssh", id, target, mount.mode, mount.uid, mount.gid]),
    async make(stack) {
      const agent = build.request.sshAgents.get(id);
      if (agent === undefined) {
        if (mount.required) throw new EngineError("invalid", `no SSH key ${JSON.stringify(id)} forwarded from the client`);
        return {};
      }
      const socket = build.run.secretPath();
      stack.defer(() => build.run.discard(socket));
      stack.use(await lendAgent(agent, socket, { user: mount.uid ?? 0, group: mount.gid ?? 0, mode: mount.mode ?? 0o600 }));
      return { mount: bind(target, socket, false), env: `SSH_AUTH_SOCK=${target}` };
    },
  };
}

function targetOf(step: Step, mount: Mount): string {
  if (mount.target === undefined) throw new EngineError("invalid", `${mount.type} mount: target is required`);
  const target = path.posix.resolve("/", step.state.config.WorkingDir ?? "", mount.target);
  if (target === "/") throw new EngineError("invalid", `invalid mount target ${JSON.stringify(mount.target)}`);
  return target;
}

function bind(destination: string, source: string, readOnly: boolean): OciMount {
  return { destination, type: "bind", source, options: ["rbind", "rprivate", ...(readOnly ? ["ro"] : [])] };
}

/** Below these the runtime has file systems of its own. */
const RUNTIME_FOLDERS = /^\/(?:dev|proc|sys)(?:\/|$)/;

/**
 * Where mounts go and nothing is: such places are made outside of the layer, and so are not left in it. Volumes of the image are such, too:
 * a step may write there as a container may.
 */
async function findPlaces(step: Step, mounts: OciMount[]): Promise<MountPlace[]> {
  const volumes = Object.keys(step.state.config.Volumes ?? {}).map((volume) => ({
    destination: path.posix.resolve("/", volume),
    source: "",
    type: "volume",
  }));
  const wanted = [...mounts, ...volumes].filter(({ destination }) => destination !== "/" && !RUNTIME_FOLDERS.test(destination));
  if (wanted.length === 0) return [];
  const isFolder = await Promise.all(wanted.map(async ({ source, type }) => type !== "bind" || (await stat(source)).isDirectory()));
  await using reading = new AsyncDisposableStack();
  const tree = new FolderTree(await step.build.run.openReadOnly((await step.build.solver.solve(step.state.files)).layer, reading));
  try {
    return wanted.flatMap(({ destination }, index) => {
      const place = resolveInTree(tree, Buffer.from(destination.slice(1), "utf8").toString("latin1"));
      return tree.get(place) === undefined ? [{ path: place, isFolder: isFolder[index] === true }] : [];
    });
  } finally {
    tree.close();
  }
}
