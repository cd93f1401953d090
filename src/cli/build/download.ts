import { messageOf } from "../../base/errors.ts";
import { watchTransfer } from "./transfer.ts";

/** What is behind a URL, as it comes; how much of it has come is shown. */
export async function download(url: string, write: (text: string) => void): Promise<AsyncIterable<Uint8Array>> {
  const failed = (why: string, cause?: unknown): Error => new Error(`unable to download remote context ${url}: ${why}`, { cause });
  // fetch brings its own HTTP along, which is loaded for this alone.
  const answer = await fetch(url).catch((error: unknown) => {
    throw failed(`Get "${url}": ${reasonOf(error)}`, error);
  });
  if (!answer.ok) throw failed(`failed to GET ${url} with status ${answer.status} ${answer.statusText}: ${(await answer.text()).trim()}`);
  const total = Number(answer.headers.get("content-length") ?? 0);
  return watchTransfer(`Downloading build context from remote url: ${url}`, write, total).pass(answer.body ?? []);
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof Error) || !("code" in cause)) return messageOf(cause ?? error);
  const { code, address, port } = cause as { code: unknown; address?: string; port?: number };
  return code === "ECONNREFUSED" ? `dial tcp ${address}:${port}: connect: connection refused` : messageOf(cause);
}
