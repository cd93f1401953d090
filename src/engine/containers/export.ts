import { randomBytes } from "node:crypto";
import { open, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";

import { paths } from "../../store/roots.ts";
import type { LayerChange } from "../../store/layers.ts";
import { refuseIfGoing } from "./commit.ts";
import { publishContainerEvent, type ContainerContext } from "./context.ts";

const CHUNK_BYTES = 1024 * 1024;

/** `GET /containers/{id}/export`: the container's whole tree as a tar. It is made before the first piece comes: an error is told as one. */
export async function exportTree(context: ContainerContext, name: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const container = context.set.get(name);
  refuseIfGoing(container, "export");
  const file = path.join(paths.containerWritable(context.roots, container.id), `export-${randomBytes(4).toString("hex")}`);
  let handle: FileHandle;
  try {
    await context.layers.packWritable(container.id, file, signal);
    handle = await open(file);
  } finally {
    // It lives for as long as it is read.
    await rm(file, { force: true });
  }
  return piecesOf(handle, () => publishContainerEvent(context, container, "export"));
}

async function* piecesOf(handle: FileHandle, finished: () => void): AsyncIterable<Uint8Array> {
  try {
    for (let buffers = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)]; ; buffers = buffers.toReversed()) {
      const { bytesRead, buffer } = await handle.read(buffers[0] ?? Buffer.alloc(0));
      if (bytesRead === 0) break;
      yield buffer.subarray(0, bytesRead);
    }
    finished();
  } finally {
    await handle.close();
  }
}

/** `GET /containers/{id}/changes` */
export function changes(context: ContainerContext, name: string, signal?: AbortSignal): Promise<LayerChange[]> {
  return context.layers.changesOf(context.set.get(name).id, signal);
}
