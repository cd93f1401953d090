import type { Flag, Flags } from "../arguments.ts";
import type { Query } from "../engine/client.ts";

/** What `stop` and `restart` take: which signal asks the container to end (engines before API 1.42 take their own), and how long it has before SIGKILL. */

export const stopFlags: readonly Flag[] = [
  { name: "signal", short: "s", kind: "text", value: "string", usage: "Signal that asks it to end" },
  { name: "timeout", short: "t", kind: "integer", value: "int", usage: "Seconds from that signal to SIGKILL" },
  { name: "time", kind: "integer", sameAs: "timeout", usage: "", deprecated: "use --timeout instead", hidden: true },
];

export function stopQuery(flags: Flags): Query {
  return {
    signal: flags.text("signal") || undefined,
    t: flags.changed("timeout") ? flags.integer("timeout") : undefined,
  };
}
