import { closeSync } from "node:fs";
import { checked, libc } from "./ffi.ts";

/**
 * Tells when a descriptor can be read or written, without reading it: what libuv does not offer.
 *
 * The keeper must look at a pipe before it takes from it (see keeper/output.ts), and must wait for pty masters and pidfds, which
 * net.Socket refuses. One epoll set, one thread of libuv's pool in epoll_wait, whatever the number of descriptors.
 *
 * Edge-triggered: a callback comes once when a descriptor is added and ready, and again for each later change; whoever is called must
 * go on until EAGAIN or remember that it did not.
 */
export interface Poller extends Disposable {
  /** Calls back on each edge; one callback per descriptor. Forget it with `unwatch` before the descriptor is closed. */
  watch(descriptor: number, callback: (ready: Readiness) => void): void;
  unwatch(descriptor: number): void;
  /**
   * Says nothing about a descriptor, but that its other end was closed, until `resume`, which calls back at once when it is ready then. For one
   * that is read without waiting: under a flood every write into a pipe would wake two threads of ours for nothing.
   */
  pause(descriptor: number): void;
  resume(descriptor: number): void;
}

export interface Readiness {
  readable: boolean;
  writable: boolean;
  /** The other end was closed for good. */
  hungUp: boolean;
}

const EPOLLIN = 0x001;
const EPOLLOUT = 0x004;
const EPOLLERR = 0x008;
const EPOLLHUP = 0x010;
const EPOLLET = 0x8000_0000;
const EPOLL_CLOEXEC = 0o2_000_000;
const CTL_ADD = 1;
const CTL_DEL = 2;
const CTL_MOD = 3;
const BOTH_WAYS = EPOLLIN + EPOLLOUT + EPOLLET;
const EFD_FLAGS = 0o2_004_000;

/** `struct epoll_event` is packed on x86-64 only. */
const EVENT_BYTES = process.arch === "x64" ? 12 : 16;
const DATA_OFFSET = process.arch === "x64" ? 4 : 8;
const EVENTS_PER_WAIT = 128;

const epollCreate = libc("int epoll_create1(int flags)");
const epollControl = libc("int epoll_ctl(int epfd, int operation, int fd, uint8_t *event)");
const epollWait = libc("int epoll_wait(int epfd, uint8_t *events, int count, int timeoutMs)");
const eventfd = libc("int eventfd(uint initial, int flags)");
const write = libc("long write(int fd, uint8_t *bytes, size_t count)");

export function openPoller(): Poller {
  const set: number = checked("epoll_create1", epollCreate(EPOLL_CLOEXEC), "");
  const wake: number = checked("eventfd", eventfd(0, EFD_FLAGS), "");
  const callbacks = new Map<number, (ready: Readiness) => void>();
  const events = Buffer.alloc(EVENT_BYTES * EVENTS_PER_WAIT);
  let closed = false;

  const control = (operation: number, descriptor: number, interest = BOTH_WAYS): void => {
    const event = Buffer.alloc(EVENT_BYTES);
    event.writeUInt32LE(interest, 0);
    event.writeInt32LE(descriptor, DATA_OFFSET);
    checked("epoll_ctl", epollControl(set, operation, descriptor, event), `descriptor ${descriptor}`);
  };
  const wait = (): void => {
    epollWait.async(set, events, EVENTS_PER_WAIT, -1, (_failure: unknown, count: number) => {
      if (closed) {
        closeSync(set);
        closeSync(wake);
        return;
      }
      // A negative count is EINTR.
      const ready: [number, number][] = [];
      for (let index = 0; index < count; index += 1) {
        const at = index * EVENT_BYTES;
        ready.push([events.readInt32LE(at + DATA_OFFSET), events.readUInt32LE(at)]);
      }
      wait();
      for (const [descriptor, bits] of ready) {
        callbacks.get(descriptor)?.({
          readable: (bits & (EPOLLIN | EPOLLHUP | EPOLLERR)) !== 0,
          writable: (bits & (EPOLLOUT | EPOLLERR)) !== 0,
          hungUp: (bits & EPOLLHUP) !== 0,
        });
      }
    });
  };
  control(CTL_ADD, wake);
  wait();

  return {
    watch: (descriptor, callback) => {
      callbacks.set(descriptor, callback);
      control(CTL_ADD, descriptor);
    },
    unwatch: (descriptor) => {
      if (callbacks.delete(descriptor)) control(CTL_DEL, descriptor);
    },
    pause: (descriptor) => control(CTL_MOD, descriptor, EPOLLET),
    resume: (descriptor) => control(CTL_MOD, descriptor),
    [Symbol.dispose]: () => {
      closed = true;
      const one = Buffer.alloc(8);
      one.writeBigUInt64LE(1n);
      write(wake, one, 8);
    },
  };
}
