import type { Flag } from "./arguments.ts";

/** The flags in front of a command. */
export const globalFlags: readonly Flag[] = [
  { name: "config", kind: "text", value: "string", usage: "Folder of the client's settings (~/.docker)" },
  { name: "context", short: "c", kind: "text", value: "string", usage: "Accepted; -H names an engine" },
  { name: "debug", short: "D", kind: "boolean", usage: "Say more about errors" },
  { name: "host", short: "H", kind: "list", value: "list", usage: "Engine to talk to (unix://…, tcp://…)" },
  {
    name: "log-level",
    short: "l",
    kind: "text",
    value: "string",
    initial: "info",
    usage: "Accepted: debug, info, warn, error, fatal",
    check: checkLogLevel,
  },
  { name: "tls", kind: "boolean", usage: "Use TLS" },
  { name: "tlscacert", kind: "text", value: "string", usage: "Trust only certificates of this CA" },
  { name: "tlscert", kind: "text", value: "string", usage: "Our certificate" },
  { name: "tlskey", kind: "text", value: "string", usage: "Our key" },
  { name: "tlsverify", kind: "boolean", usage: "Use TLS and verify the engine" },
  { name: "version", short: "v", kind: "boolean", usage: "Print the version and leave" },
];

function checkLogLevel(level: string): string {
  if (!["panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"].includes(level.toLowerCase()))
    throw new Error(`unable to parse logging level: ${level}`);
  return level;
}
