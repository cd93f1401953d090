import { EngineError } from "../../../base/errors.ts";
import type { Image } from "../../images/images.ts";
import { chainIdsOf } from "../../images/image-store.ts";
import { parseReference } from "../../images/reference.ts";
import type { Platform } from "../../images/platform.ts";
import type { ClassicBuild } from "./build.ts";

/** The image that a FROM or `--from` names: the one that is here, else, or with `--pull`, the registry's. It is held until the build ends. */
export async function findBase(build: ClassicBuild, name: string, platform: Platform | undefined): Promise<Image> {
  const { engine, request, pin, run } = build;
  const here = request.pull ? undefined : engine.images.find(name);
  const isRight = here === undefined || platform === undefined || here.config.architecture === platform.architecture;
  const image = here !== undefined && isRight ? here : await pull(build, name, platform);
  run.signal.throwIfAborted();
  pin.hold(image.id);
  for (const chainId of chainIdsOf(image.config.rootfs.diff_ids)) pin.hold(chainId);
  return image;
}

async function pull({ engine, request, run }: ClassicBuild, name: string, platform: Platform | undefined): Promise<Image> {
  const reference = parseReference(name);
  await engine.images.pull({ reference: name, platform, auth: request.auth.get(reference.domain) }, () => undefined, run.signal);
  const image = engine.images.find(name);
  if (image === undefined) throw new EngineError("notFound", `No such image: ${name}`);
  return image;
}
