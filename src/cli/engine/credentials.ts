import { warn } from "../output/print.ts";
import type { ConfigFile, StoredAuth } from "./config-file.ts";

/**
 * What to show a registry: the stored login for its host, as X-Registry-Auth. Logins are in config.json, or with a helper program
 * (`docker-credential-NAME get`, the server on its standard input), per host or for all. Secrets go nowhere else and into no message.
 */

/** Docker Hub is stored under this address. */
export const HUB_SERVER = "https://index.docker.io/v1/";
/** What a helper may take. */
const HELPER_TIMEOUT_MS = 30_000;
/** The user name under which helpers keep a token instead of a password. */
const TOKEN_USER = "<token>";

/** The header's value for a pull from `domain`. */
export async function registryAuth(config: ConfigFile, domain: string): Promise<string> {
  const server = domain === "docker.io" ? HUB_SERVER : domain;
  const auth = (await fromHelper(config, server)) ?? fromFile(config, server);
  return Buffer.from(JSON.stringify(auth ?? {}))
    .toString("base64url")
    .replace(/$/, padding);
}

/** Base64 in the URL alphabet, padded, as Go's encoder writes it. */
function padding(_match: string, offset: number): string {
  return "=".repeat((4 - (offset % 4)) % 4);
}

type RegistryAuth = { username?: string; password?: string; identitytoken?: string; serveraddress: string };

async function fromHelper(config: ConfigFile, server: string): Promise<RegistryAuth | undefined> {
  const helper = config.credHelpers[server] ?? config.credsStore;
  if (helper === "" || !/^[\w.-]+$/.test(helper)) return undefined;
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const result = spawnSync(`docker-credential-${helper}`, ["get"], {
    input: server,
    encoding: "utf8",
    timeout: HELPER_TIMEOUT_MS,
    stdio: ["pipe", "pipe", "ignore"],
  });
  if (result.error !== undefined) {
    warn(`WARNING: docker-credential-${helper} could not be run; going on without a login`);
    return undefined;
  }
  if (result.status !== 0) return undefined;
  try {
    const answer: unknown = JSON.parse(result.stdout);
    if (typeof answer !== "object" || answer === null || !("Username" in answer) || !("Secret" in answer)) return undefined;
    const [user, secret] = [String(answer.Username), String(answer.Secret)];
    return user === TOKEN_USER
      ? { identitytoken: secret, serveraddress: server }
      : { username: user, password: secret, serveraddress: server };
  } catch {
    warn(`WARNING: docker-credential-${helper} gave no JSON; going on without a login`);
    return undefined;
  }
}

function fromFile(config: ConfigFile, server: string): RegistryAuth | undefined {
  const host = hostOf(server);
  const stored = config.auths[server] ?? Object.entries(config.auths).find(([key]) => hostOf(key) === host)?.[1];
  return stored === undefined ? undefined : decode(stored, server);
}

function decode(stored: StoredAuth, server: string): RegistryAuth {
  const [, user, password] =
    /^([^:]*):([\s\S]*)$/.exec(
      Buffer.from(stored.auth ?? "", "base64")
        .toString("utf8")
        .replace(/\0+$/, ""),
    ) ?? [];
  return {
    username: user ?? stored.username ?? "",
    password: password ?? stored.password ?? "",
    ...(stored.identitytoken && { identitytoken: stored.identitytoken }),
    serveraddress: server,
  };
}

/** Old files hold `https://host/v1/` where new ones hold `host`. */
function hostOf(server: string): string {
  return server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}
