import type { Duplex } from "node:stream";

/** What a client of a non-terminal was given, by stream. */
export interface Received {
  stdout: string;
  stderr: string;
  systemError: string;
}

/** Reads a framed connection to its end. */
export async function readFrames(stream: Duplex): Promise<Received> {
  return splitFrames(await readAll(stream));
}

export function splitFrames(bytes: Buffer): Received {
  const parts: Buffer[][] = [[], [], [], []];
  let at = 0;
  while (at < bytes.length) {
    const size = bytes.readUInt32BE(at + 4);
    parts[bytes[at] ?? 0]?.push(bytes.subarray(at + 8, at + 8 + size));
    at += 8 + size;
  }
  if (at !== bytes.length) throw new Error(`the last frame lacks ${at - bytes.length} bytes`);
  const [, stdout, stderr, systemError] = parts.map((pieces) => Buffer.concat(pieces).toString());
  return { stdout: stdout ?? "", stderr: stderr ?? "", systemError: systemError ?? "" };
}

/** Reads a connection to its end. */
export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.resume();
  await new Promise<void>((resolve, reject) => {
    stream.once("end", resolve);
    stream.once("error", reject);
    stream.once("close", resolve);
  });
  stream.destroy();
  return Buffer.concat(chunks);
}

/** Waits until a stream has given `text`; gives all that came so far. */
export async function readUntil(stream: Duplex, text: string): Promise<string> {
  let seen = "";
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${JSON.stringify(text)} in ${JSON.stringify(seen)}`)), 10_000);
    const onData = (chunk: Buffer): void => {
      seen += chunk.toString("latin1");
      if (!seen.includes(text)) return;
      clearTimeout(timer);
      stream.off("data", onData);
      resolve();
    };
    stream.on("data", onData);
  });
  return seen;
}
