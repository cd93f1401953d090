import { parentPort } from "node:worker_threads";

import { codeOf, EngineError, messageOf } from "../../base/errors.ts";
import type { Answer, Request } from "./kernel-worker.ts";
import type { RunProgram } from "./nftables.ts";
import { openOperations } from "./operations.ts";

/** Serves the calls of `kernel-worker.ts` in the thread it started. `runProgram` is for hosts where libraries are missing or other firewalls want their own tool. */
export function serveKernelWorker(runProgram: RunProgram): void {
  if (parentPort === null) throw new Error("this program runs as a worker thread of tsubod only");
  const port = parentPort;
  let operations: ReturnType<typeof openOperations> | undefined;

  port.on("message", (request: Request) => {
    const answer: Answer = { id: request.id };
    try {
      if (request.name === "close") {
        operations?.close();
      } else if (request.name === "ready") {
        operations = openOperations(runProgram);
      } else if (operations !== undefined) {
        // Arguments come from `call`, whose types are those of this very operation.
        const operation = operations[request.name] as (...args: unknown[]) => unknown;
        answer.result = operation(...request.args);
      }
    } catch (error) {
      answer.error = {
        message: messageOf(error),
        code: codeOf(error),
        kind: error instanceof EngineError ? error.kind : undefined,
      };
    }
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(answer);
    if (request.name === "close") port.close();
  });
}
