import { containerConfig, type ContainerConfig } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import type { StagedLayer } from "../../store/layers.ts";
import { childImageJson } from "../images/child-image.ts";
import { applyChanges } from "../images/config-changes.ts";
import type { ContainerDefaults } from "../images/image-config.ts";
import { chainIdsOf } from "../images/image-store.ts";
import { configJson } from "./config-json.ts";
import { isRunning, type Container } from "./container.ts";
import type { CommitRequest } from "./containers.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";
import { mergeConfig } from "./merge-config.ts";
import { pause, unpause } from "./pause.ts";

/** The diffID of a layer with nothing in it: Docker gives an image no such layer. */
const EMPTY_LAYER = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/** `POST /commit`: an image of what the container was made from and what it has written since. Answers its id. */
export async function commit(context: ContainerContext, name: string, request: CommitRequest, signal?: AbortSignal): Promise<string> {
  const container = context.set.get(name);
  refuseIfGoing(container, "commit");
  const parent = context.images.get(container.imageId);
  const config = configOf(container, request);

  const staged = await copyWritten(context, container, request.pause, signal);
  try {
    const content = await staged.finish(signal);
    failpoint("containers.commit.finished");
    const isEmpty = content.diffId === EMPTY_LAYER;
    const diffIds = parent.config.rootfs.diff_ids;
    const { bytes } = childImageJson(
      { ...parent.config, diffIds, history: parent.config.history ?? [] },
      {
        author: request.author,
        comment: request.comment,
        created: formatTime(nowNs()),
        createdBy: (container.config.Cmd ?? []).join(" "),
        config,
        containerConfig: configJson(container.config),
        containerId: container.id,
        diffId: isEmpty ? undefined : content.diffId,
        serverVersion: context.serverVersion,
      },
    );
    const chainId = chainIdsOf([...diffIds, content.diffId]).at(-1) ?? content.diffId;
    const { id } = await context.images.addChild({
      configBytes: bytes,
      parent: parent.id,
      layer: isEmpty ? undefined : { staged, chainId, parent: parent.chainId, ...content },
      reference: request.reference,
    });
    publishContainerEvent(context, container, "commit", { comment: request.comment, imageID: id, imageRef: request.shownReference });
    return id;
  } finally {
    await staged.abort();
  }
}

/** Docker's words for a container whose files are about to go. */
export function refuseIfGoing({ id, state }: Container, verb: "commit" | "export" | "copy"): void {
  if (state.status === "dead") throw new EngineError("conflict", `You cannot ${verb} container ${id} which is Dead`);
  if (state.status === "removing") throw new EngineError("conflict", `You cannot ${verb} container ${id} which is being removed`);
}

/** The container's own config, or the one that was sent with the request; changed as asked, and then completed by the container's. */
function configOf(container: Container, request: CommitRequest): Record<string, unknown> {
  const own = configJson(container.config);
  // Its members are those of an image's config, and more.
  const start = (request.config === undefined ? own : configJson(request.config)) as ContainerDefaults;
  const changed = applyChanges(start, request.changes);
  const merged: ContainerConfig = mergeConfig(containerConfig.decode(changed, ""), own);
  return configJson(merged);
}

/** A running container stands still while it is copied, unless that is not wanted. */
async function copyWritten(
  context: ContainerContext,
  container: Container,
  mayPause: boolean,
  signal: AbortSignal | undefined,
): Promise<StagedLayer> {
  const pauses = mayPause && container.state.status === "running" && !container.state.paused;
  if (pauses) await pause(context, container.id);
  try {
    const frozen = pauses || !isRunning(container) || (container.state.status === "running" && container.state.paused);
    const staged = await context.layers.stageCopyOfWritable(container.id, { frozen }, signal);
    failpoint("containers.commit.copied");
    return staged;
  } finally {
    // It may have ended, or have been let go on, in the meantime.
    if (pauses) await unpause(context, container.id).catch(() => undefined);
  }
}
