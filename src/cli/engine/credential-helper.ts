import type { ConfigFile } from "./config-file.ts";
import { CommandFailure } from "../failure.ts";

/** Programs that keep logins: `docker-credential-NAME get|store|erase|list`, asked on standard input. */

/** What a helper may take: it may ask its user. */
const TIMEOUT_MS = 120_000;

/** The helper for a server's logins, named for it or for all. */
export function credentialHelper(config: ConfigFile, server: string): string | undefined {
  const helper = config.credHelpers[server] ?? config.credsStore;
  return /^[\w.-]+$/.test(helper) ? helper : undefined;
}

/** Asks a helper. Empty when it has nothing of that name. */
export function runHelper(helper: string, verb: "get" | "store" | "erase" | "list", input: string): string {
  const program = `docker-credential-${helper}`;
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const { error, status, stdout } = spawnSync(program, [verb], { input, encoding: "utf8", timeout: TIMEOUT_MS });
  // One that did not read all of its input leaves an EPIPE, and has done its work all the same.
  if (status === 0) return stdout;
  if (error === undefined && stdout.startsWith("credentials not found")) return "";
  const why = error === undefined ? stdout.trim() || `it ended with status ${status}` : error.message;
  throw new CommandFailure(`${verb} of a login with ${program} failed: ${why}`, 1, { cause: error });
}
