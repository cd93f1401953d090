import type { TestDaemon } from "../../src/testing/daemon.ts";
import { beginStream, type Pulled, type RunningPull } from "./pulls.ts";

/** Pushes through the Engine API. `lines` are those of the stream, without measurements; the last one's `aux` is left out. */
export function push(daemon: TestDaemon, reference: string, options: { auth?: object } = {}): Promise<Pulled> {
  return beginPush(daemon, reference, options).done;
}

/** All tags of a repository where the reference names none. */
export function beginPush(daemon: TestDaemon, reference: string, { auth = {} }: { auth?: object } = {}): RunningPull {
  const [, repository = "", tag = ""] = /^(.*?)(?::([^:/]*))?$/.exec(reference) ?? [];
  return beginStream(daemon, `/images/${repository}/push${tag === "" ? "" : `?tag=${tag}`}`, auth);
}
