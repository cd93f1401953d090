import { FRAME_HEADER_BYTES, STREAM_NUMBERS } from "../../keeper/frames.ts";

/** Takes Docker's frames (keeper/frames.ts) apart as they come. */
export class FrameReader {
  readonly #onOutput: (stream: "stdout" | "stderr", bytes: Buffer) => void;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  #left = 0;

  constructor(onOutput: (stream: "stdout" | "stderr", bytes: Buffer) => void) {
    this.#onOutput = onOutput;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) {
        const taken = rest.copy(this.#header, this.#headerFilled);
        this.#headerFilled += taken;
        rest = rest.subarray(taken);
        if (this.#headerFilled < FRAME_HEADER_BYTES) return;
        this.#headerFilled = 0;
        this.#left = this.#header.readUInt32BE(4);
        continue;
      }
      const piece = rest.subarray(0, this.#left);
      this.#left -= piece.length;
      rest = rest.subarray(piece.length);
      const stream = this.#header[0];
      if (stream === STREAM_NUMBERS.stdout || stream === STREAM_NUMBERS.stderr) {
        this.#onOutput(stream === STREAM_NUMBERS.stdout ? "stdout" : "stderr", piece);
      }
    }
  }
}
