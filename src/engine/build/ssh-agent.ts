import { chmod, chown, stat } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";

import { EngineError } from "../../base/errors.ts";

/**
 * Lends a step the ssh agent of a client on this machine: a socket of our own, so that the step's user may reach it whoever's the agent is,
 * and that is gone with the step. `agent` is what the client says it sees: the path of a socket.
 */
export async function lendAgent(
  agent: string,
  socketPath: string,
  owner: { user: number; group: number; mode: number },
): Promise<AsyncDisposable> {
  const found = await stat(agent).catch(() => undefined);
  if (found?.isSocket() !== true) throw new EngineError("invalid", `ssh agent ${agent}: there is no socket`);
  const open = new Set<Socket>();
  const server = createServer((step) => {
    const towards = connect(agent);
    open.add(step).add(towards);
    const end = (): void => {
      for (const socket of [step, towards]) {
        socket.destroy();
        open.delete(socket);
      }
    };
    for (const socket of [step, towards]) socket.on("error", end).on("close", end);
    step.pipe(towards).pipe(step);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketPath, resolve);
  });
  await chown(socketPath, owner.user, owner.group);
  await chmod(socketPath, owner.mode);
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
