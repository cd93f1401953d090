import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

import { codeOf } from "../../base/errors.ts";
import { paths } from "../../store/roots.ts";
import { ownHostsLines } from "../networks/host-files.ts";
import type { Endpoint } from "../networks/networks.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";

/**
 * The /etc/hosts of a container that runs. It is written where it lies, since it is mounted; what the container itself wrote stays.
 */
export async function appendOwnAddress(
  { roots }: Pick<ContainerContext, "roots">,
  container: Container,
  endpoint: Endpoint,
): Promise<void> {
  await rewriteHosts({ roots }, container.id, (lines) => [...lines, ...ownHostsLines(container.config, [endpoint])]);
}

export async function removeOwnAddress(
  { roots }: Pick<ContainerContext, "roots">,
  container: Container,
  endpoint: Endpoint,
): Promise<void> {
  const own = new Set(ownHostsLines(container.config, [endpoint]));
  await rewriteHosts({ roots }, container.id, (lines) => lines.filter((line) => !own.has(line)));
}

/** A container that has ended meanwhile has nothing to be told. */
export async function rewriteHosts(
  { roots }: Pick<ContainerContext, "roots">,
  containerId: string,
  change: (lines: string[]) => string[],
): Promise<void> {
  const file = path.join(paths.container(roots, containerId), "hosts");
  try {
    const lines = (await readFile(file, "utf8")).replace(/\n$/, "").split("\n");
    await writeFile(file, `${change(lines).join("\n")}\n`);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
