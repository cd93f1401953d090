import { EngineError } from "../../../base/errors.ts";
import { openNamedContext } from "../context/open-context.ts";
import type { TreeSource } from "../context/tree-source.ts";
import { stageAbove } from "../../../dockerfile/stages.ts";
import type { Stage } from "../../../dockerfile/syntax.ts";
import { sourceVertex, type Vertex } from "../graph/operation.ts";
import type { ClassicBuild } from "./build.ts";
import { findBase } from "./find-base.ts";

/** Where files are taken from: a stage or an image, or a tree that the client gave a name (`--build-context`). */
export type Place = { kind: "files"; files: Vertex } | { kind: "tree"; source: TreeSource };

/** What `--from` and `from=` name: an earlier stage, by name or number, a named context, or an image. */
export async function placeOf(build: ClassicBuild, stage: Stage, from: string): Promise<Place> {
  const earlier = stageAbove(
    build.stages.map((planned) => planned.stage),
    stage.index,
    from,
  );
  const planned = earlier === undefined ? undefined : build.stages[earlier.index];
  if (planned !== undefined) return { kind: "files", files: (await planned.state).files };
  const named = await namedPlace(build, from);
  if (named !== undefined) return named;
  return { kind: "files", files: sourceVertex(build.engine.layers, (await findBase(build, from, undefined)).chainId) };
}

/** The tree of a place, for as long as `work` takes. */
export async function readPlace<T>({ run, solver }: ClassicBuild, place: Place, work: (source: TreeSource) => Promise<T>): Promise<T> {
  if (place.kind === "tree") return work(place.source);
  return run.read((await solver.solve(place.files)).layer, work);
}

const IMAGE_SCHEME = "docker-image://";

/** The image that stands in for another by `--build-context NAME=docker-image://…`; the name itself otherwise. */
export function imageNamed({ request }: ClassicBuild, name: string): string {
  const given = request.contexts.get(name);
  return given?.startsWith(IMAGE_SCHEME) === true ? given.slice(IMAGE_SCHEME.length) : name;
}

/** The context of that name, opened once in a build; undefined where the client named none so. */
export async function namedPlace(build: ClassicBuild, name: string): Promise<Place | undefined> {
  const given = build.request.contexts.get(name);
  if (given === undefined) return undefined;
  if (given.startsWith(IMAGE_SCHEME)) {
    const image = await findBase(build, given.slice(IMAGE_SCHEME.length), undefined);
    return { kind: "files", files: sourceVertex(build.engine.layers, image.chainId) };
  }
  if (given.startsWith("target:"))
    throw new EngineError("invalid", `build context ${name}: ${given}: only targets of this Dockerfile can be taken, by COPY --from`);
  const opening = build.namedContexts.get(name) ?? openNamedContext(build.run, build.request, given);
  build.namedContexts.set(name, opening);
  return { kind: "tree", source: await opening };
}
