import { warn } from "../output/print.ts";
import type { Client } from "./client.ts";
import { containerPath } from "./containers.ts";
import { constants } from "node:os";

/** Signals that are not passed on: those no process can catch, those of our own children and pipes, and those that mean we are broken. */
const OWN: ReadonlySet<string> = new Set([
  ..."KILL STOP CHLD PIPE URG PROF".split(" "),
  ..."SEGV BUS FPE ILL ABRT IOT TRAP SYS STKFLT POLL".split(" "),
]);
/** So many INT or TERM end the client itself: the way out when the engine no longer answers. */
const PATIENCE = 3;

/** From now on every signal we get is sent to the container. Gives the way to stop that. */
export function forwardSignals(client: Client, container: string): () => void {
  const listeners: [NodeJS.Signals, () => void][] = [];
  let asked = 0;
  for (const name of Object.keys(constants.signals)) {
    const short = name.replace("SIG", "");
    if (OWN.has(short)) continue;
    const listener = (): void => {
      if (short === "INT" || short === "TERM") asked += 1;
      if (asked >= PATIENCE) {
        warn(`\ngot ${PATIENCE} SIGTERM/SIGINTs, forcefully exiting`);
        process.exit(1);
      }
      client.text("POST", containerPath(container, "kill"), { query: { signal: short } }).catch(() => undefined);
    };
    // The names come from the very table that NodeJS.Signals is made of.
    const signal = name as NodeJS.Signals;
    process.on(signal, listener);
    listeners.push([signal, listener]);
  }
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
