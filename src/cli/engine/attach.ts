import { containerPath } from "./containers.ts";
import type { Client } from "./client.ts";
import { joinStreams, type Wiring } from "./streams.ts";

/** Our streams joined to a container's main process. */
export type Attached = {
  /** Resolves when the output has ended or the detach keys were typed. */
  readonly ended: Promise<"ended" | "detached">;
  /** Stops waiting for more. */
  readonly stop: AbortController;
};

/** Attaches to a container, which need not run yet. */
export async function attach(client: Client, container: string, wiring: Wiring): Promise<Attached> {
  const socket = await client.hijack(containerPath(container, "attach"), {
    query: {
      stream: true,
      stdin: wiring.stdin || undefined,
      stdout: wiring.stdout || undefined,
      stderr: wiring.stderr || undefined,
      detachKeys: wiring.detachKeys || undefined,
    },
  });
  const stop = new AbortController();
  return { ended: joinStreams(socket, wiring, stop.signal), stop };
}
