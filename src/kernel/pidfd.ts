import { closeSync, readFileSync } from "node:fs";
import { codeOf } from "../base/errors.ts";
import { checked, libc, SystemCallError } from "./ffi.ts";

/**
 * Pidfds: a handle on one process that a reused pid cannot redirect, and that tells a non-parent how the process ended.
 *
 * PIDFD_GET_INFO gives the exit status to anybody, once the process was reaped by whoever, if the pidfd was opened before (Linux 6.15).
 * Until it is reaped, and on older kernels, /proc/<pid>/stat of the zombie has it in its last field. After that, on an old kernel, the
 * status of a process that is not our child cannot be known.
 */

// The numbers are the same on all architectures; glibc has wrappers only since 2.36.
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;

const PIDFD_GET_INFO = 0xc0_40_ff_0b;
const INFO_BYTES = 64;
const INFO_EXIT = 8;
const INFO_EXIT_CODE_OFFSET = 60;
const POLLIN = 1;

const syscall4 = libc("long syscall(long number, long a, long b, long c, long d)");
const ioctl = libc("int ioctl(int fd, unsigned long request, uint8_t *argument)");
const poll = libc("int poll(uint8_t *fds, unsigned long count, int timeout)");

/** Opens a pidfd (close-on-exec by nature). Throws ESRCH when there is no such process any more. */
export function openPidfd(pid: number): number {
  return checked("pidfd_open", Number(syscall4(SYS_PIDFD_OPEN, pid, 0, 0, 0)), `process ${pid}`);
}

/** Opens a pidfd for the process `pid` that started at `startTicks`; undefined when that process is gone. */
export function openPidfdOf(pid: number, startTicks: string): number | undefined {
  let pidfd: number;
  try {
    pidfd = openPidfd(pid);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return undefined;
    throw error;
  }
  if (readStartTicks(pid) === startTicks) return pidfd;
  closeSync(pidfd);
  return undefined;
}

/** Sends a signal; false when the process has ended. */
export function signalPidfd(pidfd: number, signalNumber: number): boolean {
  try {
    checked("pidfd_send_signal", Number(syscall4(SYS_PIDFD_SEND_SIGNAL, pidfd, signalNumber, 0, 0)), `signal ${signalNumber}`);
    return true;
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
    throw error;
  }
}

/** A duplicate (close-on-exec) of another process's descriptor. */
export function copyDescriptor(pidfd: number, descriptor: number): number {
  return checked("pidfd_getfd", Number(syscall4(SYS_PIDFD_GETFD, pidfd, descriptor, 0, 0)), `descriptor ${descriptor}`);
}

/** True when the process of a pidfd has ended (it may still be a zombie). */
export function hasEnded(pidfd: number): boolean {
  const entry = Buffer.alloc(8);
  entry.writeInt32LE(pidfd, 0);
  entry.writeInt16LE(POLLIN, 4);
  return checked("poll", poll(entry, 1, 0), "pidfd") > 0;
}

/** The wait status of a process that has ended and is not our child; undefined when nothing tells it (any more, or yet). */
export function readEndedStatus(pidfd: number, pid: number, startTicks: string): number | undefined {
  const stat = readStat(pid);
  if (stat !== undefined && stat.startTicks === startTicks && stat.state === "Z") return stat.waitStatus;
  const info = Buffer.alloc(INFO_BYTES);
  info.writeBigUInt64LE(BigInt(INFO_EXIT), 0);
  if (Number(ioctl(pidfd, PIDFD_GET_INFO, info)) < 0) return undefined;
  if ((info.readBigUInt64LE(0) & BigInt(INFO_EXIT)) === 0n) return undefined;
  return info.readInt32LE(INFO_EXIT_CODE_OFFSET);
}

/** When a process started, in clock ticks since boot: with its pid it names a process for good. Undefined when there is none. */
export function readStartTicks(pid: number): string | undefined {
  return readStat(pid)?.startTicks;
}

interface ProcessStat {
  state: string;
  startTicks: string;
  waitStatus: number;
}

function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The second field is the name in parentheses and may hold anything; field 3 is the state, 22 the start time, 52 the exit code.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .trimEnd()
    .split(" ");
  const [state, startTicks, waitStatus] = [fields[0], fields[19], fields[49]];
  if (state === undefined || startTicks === undefined) throw new SystemCallError("read", 0, `/proc/${pid}/stat`);
  return { state, startTicks, waitStatus: Number(waitStatus) };
}
