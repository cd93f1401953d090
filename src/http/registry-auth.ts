import { parseJson } from "../api/json.ts";
import type { RegistryAuth } from "../engine/images/images.ts";

/**
 * The credentials of `X-Registry-Auth`: JSON in base64url, in practice also in standard base64 and with or without padding. Docker ignores
 * what it cannot read, so that a pull of a public image goes on. Undefined: none.
 */
export function parseRegistryAuth(header: string | string[] | undefined): RegistryAuth | undefined {
  if (typeof header !== "string" || header === "") return undefined;
  let parsed: unknown;
  try {
    // Node's base64 decoder takes both alphabets.
    parsed = parseJson(Buffer.from(header, "base64").toString("utf8"));
  } catch {
    return undefined;
  }
  const auth = readRegistryAuth(parsed);
  return auth.username === undefined && auth.identityToken === undefined && auth.registryToken === undefined ? undefined : auth;
}

/** The credentials of `X-Registry-Config`, which a build may need: by registry host. What cannot be read is left out. */
export function readBuildAuth(header: string | string[] | undefined): Map<string, RegistryAuth> {
  const found = new Map<string, RegistryAuth>();
  if (typeof header !== "string" || header === "") return found;
  let parsed: unknown;
  try {
    parsed = parseJson(Buffer.from(header, "base64").toString("utf8"));
  } catch {
    return found;
  }
  for (const [address, auth] of Object.entries(typeof parsed === "object" && parsed !== null ? parsed : {})) {
    const host = address.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
    found.set(host === "index.docker.io" ? "docker.io" : host, readRegistryAuth(auth));
  }
  return found;
}

/** The same where it is the body, of `POST /auth`; what is no object says nothing. */
export function readRegistryAuth(parsed: unknown): RegistryAuth {
  const object = typeof parsed === "object" && parsed !== null ? parsed : {};
  const members = new Map(Object.entries(object).map(([name, value]) => [name.toLowerCase(), value]));
  const text = (name: string): string | undefined => {
    const value: unknown = members.get(name);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const combined = text("auth");
  const [username, password] = combined === undefined ? [] : splitOnce(Buffer.from(combined, "base64").toString("utf8"));
  return {
    username: text("username") ?? username,
    password: text("password") ?? password,
    serverAddress: text("serveraddress"),
    identityToken: text("identitytoken"),
    registryToken: text("registrytoken"),
  };
}

function splitOnce(userAndPassword: string): [string, string] {
  const at = userAndPassword.indexOf(":");
  return at < 0 ? [userAndPassword, ""] : [userAndPassword.slice(0, at), userAndPassword.slice(at + 1)];
}
