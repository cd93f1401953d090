import { closeSync, openSync } from "node:fs";

import { EngineError } from "../../base/errors.ts";

/**
 * libnftables waits for its socket with select(2), and the C library ends the process when that descriptor's number is 1024 or more. A
 * daemon with many clients and containers has more descriptors than that, so some low numbers are kept taken, to be given to its sockets.
 */
const SELECT_LIMIT = 1024;
const KEPT = 16;

const kept: number[] = [];

/** To be called early, and after a low descriptor was closed. */
export function keepLowDescriptors(): void {
  while (kept.length < KEPT) {
    const fd = openSync("/dev/null", "r");
    if (fd >= SELECT_LIMIT) {
      closeSync(fd);
      return;
    }
    kept.push(fd);
  }
}

/** Runs `open`, which opens a few descriptors, while low numbers are free; refuses when there are none. */
export function withLowDescriptors<T>(open: () => T): T {
  for (const fd of kept.splice(0)) closeSync(fd);
  try {
    const lowest = openSync("/dev/null", "r");
    closeSync(lowest);
    if (lowest >= SELECT_LIMIT - KEPT)
      throw new EngineError(
        "system",
        `opening libnftables: the first ${SELECT_LIMIT} descriptors of the daemon are in use: try again later`,
      );
    return open();
  } finally {
    keepLowDescriptors();
  }
}
