/**
 * Names of images as people write them: `busybox`, `busybox:1`, `localhost:5000/team/app@sha256:…`. The short form of a name of Docker Hub
 * leaves out `docker.io/library/`.
 */

export type ImageReference = {
  /** Registry host, `docker.io` when none was given. */
  readonly domain: string;
  /** Repository inside the registry. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
};

const HUB = "docker.io";
const HUB_OFFICIAL = "library/";
const NAME_LIMIT = 255;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const DOMAIN =
  /^(?:\[[0-9a-fA-F:]+\]|(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::\d+)?$/;

/** Parses a name; throws with Docker's words when it is none. */
export function parseReference(text: string): ImageReference {
  const match = /^([^@]*?)(?::([\w][\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$/.exec(
    text,
  );
  if (/^[a-f0-9]{64}$/.test(text)) throw new Error(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const name = match?.[1] ?? "";
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  const hasDomain = /[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first;
  const domain = hasDomain ? (first === "index.docker.io" ? HUB : first) : HUB;
  const rest = hasDomain ? name.slice(slash + 1) : name;
  const path = domain === HUB && !rest.includes("/") ? `${HUB_OFFICIAL}${rest}` : rest;
  if (rest.toLowerCase() !== rest) throw new Error(`invalid reference format: repository name (${path}) must be lowercase`);
  if (match === null || !DOMAIN.test(domain) || !path.split("/").every((part) => COMPONENT.test(part)))
    throw new Error("invalid reference format");
  if (path.length > NAME_LIMIT) throw new Error(`invalid reference format: repository name must not be more than ${NAME_LIMIT} characters`);
  return { domain, path, tag: match[2], digest: match[3] };
}

/** The short form of the name alone. */
export function familiarName({ domain, path }: ImageReference): string {
  if (domain !== HUB) return `${domain}/${path}`;
  return path.startsWith(HUB_OFFICIAL) && !path.slice(HUB_OFFICIAL.length).includes("/") ? path.slice(HUB_OFFICIAL.length) : path;
}

/** The short form with tag and digest. */
export function familiarString(reference: ImageReference): string {
  return familiarName(reference) + suffix(reference);
}

/** The full form, registry and all, with tag and digest. */
export function fullString(reference: ImageReference): string {
  return `${reference.domain}/${reference.path}${suffix(reference)}`;
}

/** With the tag `latest` where neither tag nor digest was given. */
export function withDefaultTag(reference: ImageReference): ImageReference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

function suffix({ tag, digest }: ImageReference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}
