import { closeSync, rmSync } from "node:fs";
import path from "node:path";
import { EngineError } from "../base/errors.ts";
import { addressOf, checked, errno, libc, SystemCallError } from "./ffi.ts";
import { setNonBlocking } from "./fifo.ts";

/**
 * A container's terminal: the OCI runtime makes the pty inside the container and passes its master over a socket we listen on.
 *
 * The runtime does not wait for us: by the time it has ended, the descriptor is queued in the socket, so that one accept and one
 * recvmsg fetch it. A master is made non-blocking before anything else: Node's own tty streams write to it blocking, and a container
 * that does not read its terminal would then stop the whole process.
 */
export interface ConsoleSocket extends Disposable {
  path: string;
  /** The master the runtime has sent. Call it once the runtime has ended. */
  receiveMaster(): number;
}

/** `sun_path` of a unix socket has room for 107 bytes and a zero. */
const SOCKET_PATH_BYTES = 107;
const AF_UNIX = 1;
const SOCK_STREAM_FLAGS = 0o2_004_001;
const SOCK_FLAGS = 0o2_004_000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const TIOCSWINSZ = 0x5414;

const socket = libc("int socket(int family, int type, int protocol)");
const bind = libc("int bind(int fd, uint8_t *address, uint length)");
const listen = libc("int listen(int fd, int backlog)");
const accept4 = libc("int accept4(int fd, void *address, void *length, int flags)");
const recvmsg = libc("long recvmsg(int fd, uint8_t *message, int flags)");
const ioctl = libc("int ioctl(int fd, unsigned long request, uint8_t *argument)");

/** Listens at `socketPath`, which must be short. */
export function openConsoleSocket(socketPath: string): ConsoleSocket {
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES) {
    throw new EngineError(
      "system",
      `console socket ${socketPath}: the path is longer than ${SOCKET_PATH_BYTES} bytes; choose a shorter exec root than ${path.dirname(path.dirname(socketPath))}`,
    );
  }
  const address = Buffer.alloc(2 + SOCKET_PATH_BYTES + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(socketPath, 2);
  rmSync(socketPath, { force: true });
  const listener: number = checked("socket", socket(AF_UNIX, SOCK_STREAM_FLAGS, 0), "");
  try {
    checked("bind", bind(listener, address, 2 + Buffer.byteLength(socketPath) + 1), socketPath);
    checked("listen", listen(listener, 1), socketPath);
  } catch (error) {
    closeSync(listener);
    throw error;
  }
  return {
    path: socketPath,
    receiveMaster: () => receiveMaster(listener, socketPath),
    [Symbol.dispose]: () => {
      closeSync(listener);
      rmSync(socketPath, { force: true });
    },
  };
}

/** Sets a terminal's size; the container's foreground processes get SIGWINCH. */
export function setTerminalSize(master: number, rows: number, columns: number): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  checked("ioctl", ioctl(master, TIOCSWINSZ, size), "TIOCSWINSZ");
}

function receiveMaster(listener: number, socketPath: string): number {
  const connection: number = checked("accept4", accept4(listener, null, null, SOCK_FLAGS), socketPath);
  try {
    const data = Buffer.alloc(256);
    const vector = Buffer.alloc(16);
    vector.writeBigUInt64LE(addressOf(data), 0);
    vector.writeBigUInt64LE(BigInt(data.length), 8);
    // cmsghdr: length (8 bytes), level, type, then the descriptor.
    const control = Buffer.alloc(24);
    const message = Buffer.alloc(56);
    message.writeBigUInt64LE(addressOf(vector), 16);
    message.writeBigUInt64LE(1n, 24);
    message.writeBigUInt64LE(addressOf(control), 32);
    message.writeBigUInt64LE(BigInt(control.length), 40);
    const received = Number(recvmsg(connection, message, MSG_CMSG_CLOEXEC));
    if (received < 0) throw new SystemCallError("recvmsg", errno(), socketPath);
    if (message.readBigUInt64LE(40) < 20n) throw new EngineError("system", "the runtime sent no terminal over the console socket");
    const master = control.readInt32LE(16);
    setNonBlocking(master);
    return master;
  } finally {
    closeSync(connection);
  }
}
