import type { Call } from "../command.ts";
import { showProgress } from "../output/progress.ts";
import { familiarName, parseReference, withDefaultTag } from "../reference.ts";
import { registryAuth } from "./credentials.ts";

export type PullOptions = { readonly image: string; readonly platform: string; readonly allTags?: boolean; readonly to: 1 | 2 | undefined };

/** Has the engine pull an image and shows how it goes on standard output (1), standard error (2), or nowhere. */
export async function pullImage(
  { client, config }: Pick<Call, "client" | "config">,
  { image, platform, allTags = false, to }: PullOptions,
): Promise<void> {
  const reference = allTags ? parseReference(image) : withDefaultTag(parseReference(image));
  const body = await client.request("POST", "/images/create", {
    query: {
      fromImage: familiarName(reference),
      tag: reference.digest ?? reference.tag,
      platform: platform ? platform.toLowerCase() : undefined,
    },
    headers: { "X-Registry-Auth": registryAuth(config, reference.domain) },
  });
  await showProgress(body, to);
}
