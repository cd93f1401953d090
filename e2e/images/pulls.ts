import { request, type IncomingMessage } from "node:http";

import type { TestDaemon } from "../../src/testing/daemon.ts";

/** Pulls through the Engine API, as clients make them. */
export interface Pulled {
  /** The lines of the stream, without measurements. */
  lines: string[];
  /** What went wrong: the message, behind the status if it was not 200. Nothing: "". */
  error: string;
}

export interface RunningPull {
  /** Lines so far. */
  lines(): string[];
  done: Promise<Pulled>;
  /** The client goes away. */
  abandon(): void;
}

export function pull(daemon: TestDaemon, reference: string, options: { platform?: string; auth?: object } = {}): Promise<Pulled> {
  return beginPull(daemon, reference, options).done;
}

export function beginPull(daemon: TestDaemon, reference: string, options: { platform?: string; auth?: object } = {}): RunningPull {
  const { platform, auth } = options;
  const query = new URLSearchParams({ fromImage: reference, ...(platform === undefined ? {} : { platform }) });
  return beginStream(daemon, `/images/create?${query.toString()}`, auth);
}

/** A POST that is answered by a stream of progress lines. */
export function beginStream(daemon: TestDaemon, path: string, auth: object | undefined): RunningPull {
  const headers = auth === undefined ? {} : { "x-registry-auth": Buffer.from(JSON.stringify(auth)).toString("base64url") };
  const target = { socketPath: daemon.socketPath, method: "POST", path, headers, agent: false };
  let text = "";
  const sent = request(target);
  const done = new Promise<Pulled>((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response: IncomingMessage) => {
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("error", reject);
      response.on("end", () => resolve(outcome(response.statusCode ?? 0, text)));
    });
  });
  done.catch(() => undefined);
  sent.end();
  return { lines: () => linesOf(text), done, abandon: () => void sent.destroy() };
}

export async function imageTags(daemon: TestDaemon): Promise<string[]> {
  // The shape is the Engine API's.
  const images = (await daemon.api("GET", "/images/json")).json() as { RepoTags: string[] }[];
  return images.flatMap(({ RepoTags }) => RepoTags).toSorted();
}

/** All but the embedded one. */
export async function removeImages(daemon: TestDaemon): Promise<void> {
  // The shape is the Engine API's.
  const images = (await daemon.api("GET", "/images/json?all=1")).json() as { Id: string; RepoTags: string[] }[];
  for (const { Id, RepoTags } of images) {
    if (!RepoTags.includes("busybox:latest")) await daemon.api("DELETE", `/images/${Id}?force=1`);
  }
}

interface StreamLine {
  id?: string;
  status?: string;
  error?: string;
  progressDetail?: { current?: number };
}

function outcome(status: number, text: string): Pulled {
  // The shapes are the Engine API's.
  if (status !== 200) return { lines: [], error: `${status} ${(JSON.parse(text) as { message: string }).message}` };
  return { lines: linesOf(text), error: parse(text).findLast(({ error }) => error !== undefined)?.error ?? "" };
}

function linesOf(text: string): string[] {
  return parse(text)
    .filter(({ progressDetail, status }) => progressDetail?.current === undefined && status !== undefined)
    .map(({ id, status = "" }) => (id === undefined ? status : `${id}: ${status}`));
}

function parse(text: string): StreamLine[] {
  const whole = text.slice(0, text.lastIndexOf("\r\n") + 1);
  return whole
    .split("\r\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as StreamLine);
}
