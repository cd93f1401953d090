import type { TestDaemon } from "../../src/testing/daemon.ts";

/** `/containers/{id}/archive`, asked directly. */

const archivePath = (container: string, path: string, more = ""): string =>
  `/containers/${container}/archive?path=${encodeURIComponent(path)}${more}`;

export type Refusal = { status: number; message: string };

/** Puts an archive into a folder; undefined when it is there. */
export async function put(
  daemon: TestDaemon,
  container: string,
  path: string,
  archive: Buffer,
  more = "&noOverwriteDirNonDir=true",
): Promise<Refusal | undefined> {
  const answer = await daemon.api("PUT", archivePath(container, path, more), archive);
  // The shape of every error.
  return answer.status === 200 ? undefined : { status: answer.status, message: (answer.json() as { message: string }).message };
}

/** What is said of a path. */
export async function stat(daemon: TestDaemon, container: string, path: string): Promise<Record<string, unknown> | number> {
  const answer = await daemon.api("HEAD", archivePath(container, path));
  const header = answer.headers["x-docker-container-path-stat"];
  if (answer.status !== 200 || header === undefined) return answer.status;
  // A JSON object, as the API has it.
  return JSON.parse(Buffer.from(String(header), "base64").toString("utf8")) as Record<string, unknown>;
}

/** Why a path is not given. */
export async function getRefused(daemon: TestDaemon, container: string, path: string): Promise<Refusal> {
  const answer = await daemon.api("GET", archivePath(container, path));
  return { status: answer.status, message: answer.status === 200 ? "" : (answer.json() as { message: string }).message };
}
