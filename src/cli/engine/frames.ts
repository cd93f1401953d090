/**
 * The framing of a container's output without a terminal: 8 bytes (stream number, three zeros, length as a big-endian 32-bit number), then
 * the payload. Stream 3 carries an error of the engine.
 */

const HEADER_BYTES = 8;
const STDERR = 2;
const SYSTEM_ERROR = 3;

export type FrameSink = { stdout(data: Uint8Array): void; stderr(data: Uint8Array): void };

/** Gives a function that takes the stream's chunks, cut anywhere, and passes the payloads on. It throws on an error frame. */
export function frameReader(sink: FrameSink): (chunk: Uint8Array) => void {
  let header = Buffer.alloc(0);
  let stream = 0;
  let remaining = 0;
  const errors: string[] = [];
  return (chunk) => {
    let offset = 0;
    while (offset < chunk.length) {
      if (remaining === 0) {
        const part = chunk.subarray(offset, offset + HEADER_BYTES - header.length);
        header = Buffer.concat([header, part]);
        offset += part.length;
        if (header.length < HEADER_BYTES) return;
        stream = header[0] ?? 0;
        remaining = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        if (stream > SYSTEM_ERROR) throw new Error(`Unrecognized input header: ${stream}`);
        continue;
      }
      const payload = chunk.subarray(offset, offset + remaining);
      offset += payload.length;
      remaining -= payload.length;
      if (stream === SYSTEM_ERROR) {
        errors.push(Buffer.from(payload).toString("utf8"));
        if (remaining === 0) throw new Error(`error from daemon in stream: ${errors.join("")}`);
      } else if (stream === STDERR) sink.stderr(payload);
      else sink.stdout(payload);
    }
  };
}
