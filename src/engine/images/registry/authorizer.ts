import { EngineError } from "../../../base/errors.ts";
import type { RegistryAuth } from "../images.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type { ExchangeRequest, ExchangeResponse } from "./exchange.ts";
import { errorWords } from "./registry-errors.ts";
import { isSameSite, realmMayBeAsked, realmMayGetCredentials } from "./trust.ts";

/**
 * Authorization at one endpoint for one repository: answers its challenges, with the user's credentials or anonymously, and remembers the
 * token for as long as it is good. Credentials are the registry's: see trust.ts for who else may see them.
 */
export interface Authorizer {
  /** The header to send, as far as one is known; empty otherwise. */
  headers: () => Record<string, string>;
  /** Learns from a 401 to a request with the headers `shown`. False when nothing more can be offered. */
  answer: (response: ExchangeResponse, shown: Record<string, string>) => Promise<boolean>;
}

export interface AuthorizerOptions {
  /** The endpoint's URL. */
  registry: URL;
  /** `repository:library/busybox:pull`; none: only to be let in. */
  scopes: string[];
  credentials: RegistryAuth | undefined;
  /** Carries a request to a token server out. */
  exchange: (request: Omit<ExchangeRequest, "tls" | "maxBytes">) => Promise<ExchangeResponse>;
}

const CLIENT_ID = "tsubo";
/** Tokens without a word about it are good for a minute (distribution, token spec). */
const DEFAULT_LIFETIME_S = 60;
/** A token is renewed when so much of its life is over. */
const RENEW_AT = 0.8;
const REFUSED_WITHIN_MS = 5000;

export function openAuthorizer(options: AuthorizerOptions): Authorizer {
  const { credentials } = options;
  let header: { value: string; obtainedAtMs: number; renewAtMs: number } | undefined;
  let answering: Promise<boolean> | undefined;
  const isGood = (known: NonNullable<typeof header>): boolean => performance.now() < known.renewAtMs;

  const authorize = async (wanted: Challenge): Promise<boolean> => {
    const obtainedAtMs = performance.now();
    // A challenge right after an answer to one: the answer was refused, and the next would be the same.
    if (header !== undefined && obtainedAtMs - header.obtainedAtMs < REFUSED_WITHIN_MS) return false;
    if (wanted.scheme === "basic") {
      const value = basicValue(credentials);
      if (value === undefined) throw new RefusedError("no basic auth credentials");
      header = { value, obtainedAtMs, renewAtMs: Number.POSITIVE_INFINITY };
      return true;
    }
    const token = await requestToken(options, wanted);
    header = { value: `Bearer ${token.token}`, obtainedAtMs, renewAtMs: obtainedAtMs + token.lifetimeS * RENEW_AT * 1000 };
    return true;
  };

  if (credentials?.registryToken) {
    const value = `Bearer ${credentials.registryToken}`;
    header = { value, obtainedAtMs: performance.now(), renewAtMs: Number.POSITIVE_INFINITY };
  }
  return {
    headers: () => (header === undefined || !isGood(header) ? {} : { authorization: header.value }),
    async answer(response, shown) {
      // Of several requests at once that were refused alike, one answers for all.
      if (answering !== undefined) return answering;
      if (header !== undefined && isGood(header) && shown["authorization"] !== header.value) return true;
      const challenges = parseChallenges(response.headers["www-authenticate"] ?? "");
      const wanted = challenges.find(({ scheme }) => scheme === "bearer") ?? challenges.find(({ scheme }) => scheme === "basic");
      if (wanted === undefined) return false;
      answering = authorize(wanted).finally(() => (answering = undefined));
      return answering;
    },
  };
}

/** The registry wants a user and none was given, or its token server refused the one it was shown; the caller says what was asked. */
export class RefusedError extends Error {}

function basicValue(credentials: RegistryAuth | undefined): string | undefined {
  if (!credentials?.username || credentials.password === undefined) return undefined;
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
}

async function requestToken(options: AuthorizerOptions, challenge: Challenge): Promise<{ token: string; lifetimeS: number }> {
  const { registry, credentials } = options;
  const realmText = challenge.parameters.get("realm") ?? "";
  if (!URL.canParse(realmText)) throw new EngineError("system", `the registry ${registry.host} names an invalid token server`);
  const realm = new URL(realmText);
  if (!realmMayBeAsked(registry, realm)) {
    throw new EngineError(
      "system",
      `the registry ${registry.host} names a token server without TLS (${realm.protocol}//${realm.host}): refused`,
    );
  }
  const isTrusted = realmMayGetCredentials(registry, realm);
  const withCredentials = isTrusted ? credentials : undefined;
  const request = withCredentials?.identityToken
    ? refreshRequest(realm, challenge, options.scopes, withCredentials.identityToken)
    : tokenRequest(realm, challenge, options.scopes, withCredentials);
  const response = await options.exchange({ ...request, publicOnly: !isSameSite(registry.hostname, realm.hostname) });
  if (response.status !== 200) throw tokenRefused(response, credentials !== undefined && !isTrusted ? realm.host : undefined);
  return readToken(response, realm);
}

type TokenRequest = Omit<ExchangeRequest, "tls" | "maxBytes">;

function tokenRequest(realm: URL, challenge: Challenge, scopes: string[], credentials: RegistryAuth | undefined): TokenRequest {
  const url = new URL(realm);
  const service = challenge.parameters.get("service");
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  const basic = basicValue(credentials);
  if (basic !== undefined) url.searchParams.set("account", credentials?.username ?? "");
  return { method: "GET", url: url.href, headers: basic === undefined ? {} : { authorization: basic } };
}

function refreshRequest(realm: URL, challenge: Challenge, scopes: string[], identityToken: string): TokenRequest {
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: identityToken,
    service: challenge.parameters.get("service") ?? "",
    client_id: CLIENT_ID,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
  });
  return { method: "POST", url: realm.href, headers: { "content-type": "application/x-www-form-urlencoded" }, body: body.toString() };
}

function tokenRefused(response: ExchangeResponse, distrusted: string | undefined): Error {
  const host = new URL(response.url).host;
  if (distrusted !== undefined) {
    return new EngineError(
      "system",
      `the token server ${distrusted} does not belong to the registry, so it got no credentials, and it refused to go without`,
    );
  }
  if (response.status === 401) return new RefusedError(errorWords(response.body) ?? "unauthorized: incorrect username or password");
  return new EngineError("system", `the token server ${host} answered ${response.status}`);
}

function readToken(response: ExchangeResponse, realm: URL): { token: string; lifetimeS: number } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(response.body.toString("utf8"));
  } catch {
    parsed = undefined;
  }
  const members: Record<string, unknown> = typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  const token = [members["token"], members["access_token"]].find((value) => typeof value === "string" && value !== "");
  if (typeof token !== "string" || !/^[\u0021-\u007e]+$/.test(token))
    throw new EngineError("system", `the token server ${realm.host} gave no token`);
  const lifetime = members["expires_in"];
  return { token, lifetimeS: typeof lifetime === "number" && lifetime > 0 ? lifetime : DEFAULT_LIFETIME_S };
}
