import { request } from "node:http";

import type { TestDaemon } from "../../src/testing/daemon.ts";
import { type Entry, tar } from "../../src/testing/tar.ts";

/** Builds over the API, as no well-behaved client asks for them. */

export function context(dockerfile: string, ...entries: Entry[]): Buffer {
  return tar({ name: "Dockerfile", content: dockerfile }, ...entries);
}

/** What a build has said. */
export interface Said {
  status: number;
  text: string;
  error: string;
  imageId: string;
}

export async function build(daemon: TestDaemon, archive: Buffer, query = ""): Promise<Said> {
  const { status, text } = await daemon.api("POST", `/build?${query}`, archive);
  return saidIn(status, text);
}

/** A build under way, whose client may go at any moment. */
export interface RunningBuild {
  /** What it has said so far. */
  text(): string;
  /** Resolves when it has said this. */
  says(text: string): Promise<void>;
  send(bytes: Buffer): void;
  leave(): void;
  end: Promise<Said>;
}

/** Sends a context, or the beginning of one. */
export function startBuild(daemon: TestDaemon, archive: Buffer, options: { isWhole?: boolean; query?: string } = {}): RunningBuild {
  let heard = "";
  const listeners = new Set<() => void>();
  const outgoing = request({ socketPath: daemon.socketPath, method: "POST", path: `/build?${options.query ?? ""}`, agent: false });
  const end = new Promise<Said>((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      response.setEncoding("utf8").on("data", (text: string) => {
        heard += text;
        for (const listener of listeners) listener();
      });
      response.on("error", reject);
      response.on("end", () => resolve(saidIn(response.statusCode ?? 0, heard)));
    });
  });
  // Who leaves hears of it, too.
  end.catch(() => undefined);
  if (options.isWhole === false) outgoing.write(archive);
  else outgoing.end(archive);
  return {
    end,
    send: (bytes) => void outgoing.write(bytes),
    leave: () => outgoing.destroy(),
    text: () => saidIn(200, heard).text,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!saidIn(200, heard).text.includes(text)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        end.then(
          ({ text: all, error }) => (all.includes(text) ? resolve() : reject(new Error(`"${text}" was not said: ${all}${error}`))),
          reject,
        );
      }),
  };
}

/** All of it: the text, and how it failed. */
export function whole({ text, error }: Said): string {
  return text + error;
}

function saidIn(status: number, answer: string): Said {
  // The Engine API's error, and its stream of messages.
  if (status !== 200) return { status, text: "", error: (JSON.parse(answer) as { message: string }).message, imageId: "" };
  const said: Said = { status, text: "", error: "", imageId: "" };
  for (const line of answer.split("\n").filter((one) => one.trim().endsWith("}"))) {
    const message = JSON.parse(line) as { stream?: string; error?: string; aux?: { ID?: string } };
    said.text += message.stream ?? "";
    said.error += message.error ?? "";
    said.imageId = message.aux?.ID ?? said.imageId;
  }
  return said;
}
