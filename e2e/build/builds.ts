import { request, type ClientRequest } from "node:http";

import type { TestDaemon } from "../../src/testing/daemon.ts";
import { type Entry, tar } from "../../src/testing/tar.ts";

/** A build by the API that may be given up, with the text that it has told so far. */
export interface RunningBuild {
  text: () => string;
  /** All of its text and its failure. Rejects when the connection breaks. */
  done: Promise<string>;
  /** Closes the connection. */
  abandon: () => void;
}

export function beginBuild(daemon: TestDaemon, dockerfile: string, options: { query?: string; context?: Entry[] } = {}): RunningBuild {
  return sendBuild(daemon, tar({ name: "Dockerfile", content: dockerfile }, ...(options.context ?? [])), options.query);
}

/** The same with any body; it stays open when it is `undefined`. */
export function sendBuild(daemon: TestDaemon, body: Buffer, query = ""): RunningBuild {
  let text = "";
  let outgoing: ClientRequest | undefined;
  const done = new Promise<string>((resolve, reject) => {
    outgoing = request(
      {
        socketPath: daemon.socketPath,
        method: "POST",
        path: `/build?${query}`,
        headers: { "content-type": "application/x-tar" },
        agent: false,
      },
      (response) => {
        let rest = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          const lines = (rest + chunk).split("\n");
          rest = lines.pop() ?? "";
          text += lines.map(textOf).join("");
        });
        response.on("error", reject);
        response.on("end", () => resolve(text + textOf(rest)));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
  done.catch(() => undefined);
  return { text: () => text, done, abandon: () => outgoing?.destroy() };
}

/** What a line of a build's answer says. */
export function textOf(line: string): string {
  if (line.trim() === "") return "";
  // An object of the daemon's own.
  const { stream, error, message } = JSON.parse(line) as { stream?: string; error?: string; message?: string };
  return stream ?? error ?? message ?? "";
}
