import type { Socket } from "node:net";

/** DNS by TCP: each message has its length before it (RFC 1035, 4.2.2). */
export function framed(message: Buffer): Buffer {
  const frame = Buffer.alloc(2 + message.length);
  frame.writeUInt16BE(message.length, 0);
  message.copy(frame, 2);
  return frame;
}

/** Gives each message that comes; ends the connection at one that is larger than `limit`. */
export function readFrames(socket: Socket, limit: number, take: (message: Buffer) => void): void {
  let buffered: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    while (buffered.length >= 2) {
      const length = buffered.readUInt16BE(0);
      if (length > limit) return void socket.destroy();
      if (buffered.length < 2 + length) return;
      take(buffered.subarray(2, 2 + length));
      buffered = buffered.subarray(2 + length);
    }
  });
}
