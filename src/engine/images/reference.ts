import { EngineError } from "../../base/errors.ts";

/**
 * References: how people name images. Docker's grammar and its messages (distribution/reference 0.6).
 *
 * The *full* form is what is stored and compared: `docker.io/library/busybox:latest`. The *familiar* form is what people see: without
 * `docker.io/` and `library/`.
 */
export interface Reference {
  /** Registry host with its port; `docker.io` when none was given. */
  domain: string;
  /** Repository within the registry: `library/busybox`. */
  path: string;
  tag: string | undefined;
  digest: string | undefined;
}

const DEFAULT_DOMAIN = "docker.io";
const LEGACY_DEFAULT_DOMAIN = "index.docker.io";
const OFFICIAL_PREFIX = "library/";
const DEFAULT_TAG = "latest";
const MAX_PATH_LENGTH = 255;

const DOMAIN_PART = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = `(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH_PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const TAG = "[\\w][\\w.-]{0,127}";
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(`^(?:(${DOMAIN})/)?(${PATH_PART}(?:/${PATH_PART})*)(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const IDENTIFIER = /^[a-f0-9]{64}$/;
const IMAGE_DIGEST = /^sha256:[a-f0-9]{64}$/;
const TAG_ALONE = new RegExp(`^${TAG}$`);

/** Parses a familiar or full reference; `invalid` in Docker's words when it is none. */
export function parseReference(text: string): Reference {
  if (IDENTIFIER.test(text)) throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const { domain, rest } = splitDomain(text);
  const name = rest.split(":", 1)[0] ?? rest;
  if (name.toLowerCase() !== name) throw invalid(`invalid reference format: repository name (${name}) must be lowercase`);
  const match = REFERENCE.exec(`${domain}/${rest}`);
  const [, , path = "", tag, digest] = match ?? [];
  if (match === null) throw invalid("invalid reference format");
  if (path.length > MAX_PATH_LENGTH) {
    throw invalid(`invalid reference format: repository name must not be more than ${MAX_PATH_LENGTH} characters`);
  }
  if (digest !== undefined) checkDigest(digest);
  return { domain, path, tag, digest };
}

/** A digest we can verify: `sha256:` and 64 digits. Anything else must never reach a path or a URL. */
export function isDigest(text: string): boolean {
  return IMAGE_DIGEST.test(text);
}

export function isIdentifier(text: string): boolean {
  return IDENTIFIER.test(text);
}

/** Adds `:latest` where neither tag nor digest was given. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: DEFAULT_TAG } : reference;
}

/** The same repository with another tag; `invalid` when it is none. */
export function withTag(reference: Reference, tag: string): Reference {
  if (!TAG_ALONE.test(tag)) throw invalid("invalid tag format");
  return { ...reference, tag, digest: undefined };
}

export function withDigest(reference: Reference, digest: string): Reference {
  return { ...reference, tag: undefined, digest };
}

/** `docker.io/library/busybox`. */
export function fullName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** `docker.io/library/busybox:latest`. */
export function fullReference(reference: Reference): string {
  return fullName(reference) + suffix(reference);
}

/** `busybox`. */
export function familiarName({ domain, path }: Reference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const official = path.startsWith(OFFICIAL_PREFIX) ? path.slice(OFFICIAL_PREFIX.length) : undefined;
  return official === undefined || official.includes("/") ? path : official;
}

/** `busybox:latest`. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}

/** The part before the first slash is a registry when it looks like a host: with a dot, a colon or a capital, or `localhost`. */
function splitDomain(text: string): { domain: string; rest: string } {
  const slash = text.indexOf("/");
  const first = text.slice(0, Math.max(slash, 0));
  const isHost = slash !== -1 && (first === "localhost" || /[.:]/.test(first) || first.toLowerCase() !== first);
  const domain = isHost && first !== LEGACY_DEFAULT_DOMAIN ? first : DEFAULT_DOMAIN;
  const rest = isHost ? text.slice(slash + 1) : text;
  return { domain, rest: domain === DEFAULT_DOMAIN && !rest.includes("/") ? OFFICIAL_PREFIX + rest : rest };
}

function checkDigest(digest: string): void {
  if (isDigest(digest)) return;
  const [algorithm = "", hex = ""] = digest.split(":");
  if (algorithm !== "sha256") throw invalid("unsupported digest algorithm");
  throw invalid(hex.length === 64 ? "invalid checksum digest format" : "invalid checksum digest length");
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}
