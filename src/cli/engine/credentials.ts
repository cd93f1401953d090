import { warn } from "../output/print.ts";
import type { ConfigFile, StoredAuth } from "./config-file.ts";
import { updateConfigFile } from "./config-file.ts";
import { credentialHelper, runHelper } from "./credential-helper.ts";

/**
 * Logins at registries: stored per host in config.json, or with a helper program, and shown to the engine as X-Registry-Auth. Secrets go
 * nowhere else and into no message.
 */

/** Docker Hub is stored under this address. */
export const HUB_SERVER = "https://index.docker.io/v1/";
/** The user name under which helpers keep a token instead of a password. */
const TOKEN_USER = "<token>";

export type Login = {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly serveraddress: string;
};

/** The header's value for a pull from `domain`. */
export function registryAuth(config: ConfigFile, domain: string): string {
  return encode(storedLogin(config, serverOf(domain)) ?? {});
}

function encode(value: unknown): string {
  const text = Buffer.from(JSON.stringify(value)).toString("base64url");
  return text + "=".repeat((4 - (text.length % 4)) % 4);
}

/** The header's value for what needs images of any registry: all logins, by their servers. */
export function allRegistryAuths(config: ConfigFile): string {
  const servers = new Set([...Object.keys(config.auths), ...Object.keys(config.credHelpers), ...helperServers(config)]);
  return encode(
    Object.fromEntries([...servers].flatMap((server) => [[server, storedLogin(config, server)] as const]).filter(([, login]) => login)),
  );
}

function helperServers({ credsStore }: ConfigFile): string[] {
  if (!/^[\w.-]+$/.test(credsStore)) return [];
  try {
    const answer: unknown = JSON.parse(runHelper(credsStore, "list", "") || "{}");
    return typeof answer === "object" && answer !== null ? Object.keys(answer) : [];
  } catch {
    warn(`WARNING: docker-credential-${credsStore} did not say which logins there are; going on without them`);
    return [];
  }
}

/** The address under which the login of a registry, named in any way, is stored. */
export function serverOf(registry: string): string {
  return registry === "" || registry === "docker.io" || registry === HUB_SERVER ? HUB_SERVER : hostOf(registry);
}

export function storedLogin(config: ConfigFile, server: string): Login | undefined {
  return fromHelper(config, server) ?? fromFile(config, server);
}

/** Gives the file in which the secret stands in the clear from now on, if it does. */
export function storeLogin(config: ConfigFile, { username = "", password = "", identitytoken, serveraddress }: Login): string | undefined {
  const helper = credentialHelper(config, serveraddress);
  if (helper !== undefined) {
    const [Username, Secret] = identitytoken === undefined ? [username, password] : [TOKEN_USER, identitytoken];
    runHelper(helper, "store", JSON.stringify({ ServerURL: serveraddress, Username, Secret }));
    return undefined;
  }
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  if (config.auths[serveraddress]?.auth === auth && identitytoken === undefined) return undefined;
  const file = updateConfigFile(config, (auths) => {
    auths[serveraddress] = { auth, ...(identitytoken !== undefined && { identitytoken }) };
  });
  return password === "" ? undefined : file;
}

export function eraseLogin(config: ConfigFile, server: string): void {
  const helper = credentialHelper(config, server);
  if (helper !== undefined) runHelper(helper, "erase", server);
  else if (Object.hasOwn(config.auths, server)) updateConfigFile(config, (auths) => delete auths[server]);
}

function fromHelper(config: ConfigFile, server: string): Login | undefined {
  const helper = credentialHelper(config, server);
  if (helper === undefined) return undefined;
  try {
    const answer: unknown = JSON.parse(runHelper(helper, "get", server) || "null");
    if (typeof answer !== "object" || answer === null || !("Username" in answer) || !("Secret" in answer)) return undefined;
    const [username, secret] = [String(answer.Username), String(answer.Secret)];
    return username === TOKEN_USER
      ? { identitytoken: secret, serveraddress: server }
      : { username, password: secret, serveraddress: server };
  } catch {
    warn(`WARNING: docker-credential-${helper} did not say whether there is a login for ${server}; going on without one`);
    return undefined;
  }
}

function fromFile(config: ConfigFile, server: string): Login | undefined {
  const host = hostOf(server);
  const stored = config.auths[server] ?? Object.entries(config.auths).find(([key]) => hostOf(key) === host)?.[1];
  return stored === undefined ? undefined : decode(stored, server);
}

function decode(stored: StoredAuth, server: string): Login {
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
