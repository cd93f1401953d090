import { type IncomingHttpHeaders, request } from "node:http";

/** An answer of the API as it came, read to its end. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  text: string;
  json(): unknown;
}

const TIMEOUT_MS = 60_000;

/** One request over a unix socket. A Uint8Array goes out as it is, anything else as JSON. */
export function requestOverSocket(socketPath: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const raw = body instanceof Uint8Array;
  const payload = body === undefined ? undefined : raw ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        socketPath,
        method,
        path,
        agent: false,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: {
          host: "docker",
          ...(payload === undefined
            ? {}
            : { "content-type": raw ? "application/x-tar" : "application/json", "content-length": Buffer.byteLength(payload) }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const bytes = Buffer.concat(chunks);
          const text = bytes.toString("utf8");
          resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text, json: () => JSON.parse(text) });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(payload);
  });
}
