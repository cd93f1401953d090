/**
 * Docker's framing of a non-terminal's output on one connection: an 8-byte header (stream, three zero bytes, length as unsigned 32-bit
 * big-endian), then the bytes. Clients raise an error on what comes under `systemError`.
 */
export const STREAM_NUMBERS = { stdin: 0, stdout: 1, stderr: 2, systemError: 3 } as const;

export type OutputStream = "stdout" | "stderr";

export const FRAME_HEADER_BYTES = 8;

/** The header of a frame with `sizeBytes` of payload. */
export function frameHeader(stream: OutputStream | "systemError", sizeBytes: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header[0] = STREAM_NUMBERS[stream];
  header.writeUInt32BE(sizeBytes, 4);
  return header;
}
