/**
 * The word that wait(2) gives for a process that ended.
 */

/** The exit code as Docker shows it: 0–255, or 128 + N for death by signal N. */
export function exitCodeOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}
