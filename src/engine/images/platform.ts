import { EngineError, messageOf } from "../../base/errors.ts";

/** Platforms as image indexes name them, in Go's words: how people write them, and which of several to take (as containerd/platforms 1.0). */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string | undefined;
}

const ARCHITECTURES: Record<string, Platform> = {
  x64: { os: "linux", architecture: "amd64" },
  arm64: { os: "linux", architecture: "arm64", variant: "v8" },
  arm: { os: "linux", architecture: "arm", variant: "v7" },
  ia32: { os: "linux", architecture: "386" },
  ppc64: { os: "linux", architecture: "ppc64le" },
  s390x: { os: "linux", architecture: "s390x" },
  riscv64: { os: "linux", architecture: "riscv64" },
  loong64: { os: "linux", architecture: "loong64" },
};

/** This machine's. */
export function hostPlatform(): Platform {
  return ARCHITECTURES[process.arch] ?? { os: "linux", architecture: process.arch };
}

/** Go's GOOS and GOARCH: what one word alone may mean. */
const SYSTEMS = "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos".split(
  " ",
);
const PROCESSORS = (
  "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le " +
  "riscv riscv64 s390 s390x sparc sparc64 wasm"
).split(" ");
const SYSTEM = /^([A-Za-z0-9_-]+)(?:\([A-Za-z0-9_.-]*\))?$/;
const COMPONENT = /^[A-Za-z0-9_.-]+$/;

/** `linux/arm/v7`, `linux/amd64`, or one of the two words alone; `invalid` in Docker's words otherwise. */
export function parsePlatform(text: string): Platform {
  if (text.includes("*")) throw refused(`${quote(text)}: wildcards not yet supported`);
  const [first = "", ...others] = text.split("/");
  const os = SYSTEM.exec(first)?.[1]?.toLowerCase();
  if (os === undefined) throw refused(badComponent("OS ", first, text, "OSAndVersion", SYSTEM));
  const bad = others.find((part) => !COMPONENT.test(part));
  if (bad !== undefined) throw refused(badComponent("", bad, text, "platform", COMPONENT));
  const [architecture, variant] = others;
  if (others.length > 2) throw refused(`${quote(text)}: cannot parse platform specifier`);
  if (architecture !== undefined) return normalizePlatform({ os, architecture, variant });
  if (SYSTEMS.includes(os)) return { ...hostPlatform(), os };
  const alone = normalizePlatform({ os: "linux", architecture: first });
  if (!PROCESSORS.includes(alone.architecture)) throw refused(`${quote(text)}: unknown operating system or architecture`);
  return alone;
}

/** `{"os":"linux","architecture":"arm64","variant":"v8"}`, by Docker's rules. */
export function parseJsonPlatform(text: string): Platform {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new EngineError("invalid", `failed to parse platform: ${messageOf(error)}`);
  }
  const members = new Map(Object.entries(typeof parsed === "object" && parsed !== null ? parsed : {}));
  const member = (name: string): string => {
    const value: unknown = members.get(name);
    return typeof value === "string" ? value : "";
  };
  const [os, architecture, variant] = [member("os"), member("architecture"), member("variant")];
  if (os === "" && architecture === "" && (variant !== "" || member("os.version") !== ""))
    throw new EngineError("invalid", "optional platform fields provided, but OS and Architecture are missing");
  if (os === "" || architecture === "") throw new EngineError("invalid", "both OS and Architecture must be provided");
  return normalizePlatform({ os, architecture, variant });
}

function badComponent(kind: string, part: string, text: string, specifier: string, pattern: RegExp): string {
  return `${quote(part)} is an invalid ${kind}component of ${quote(text)}: ${specifier} specifier component must match ${quote(pattern.source)}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function refused(why: string): EngineError {
  return new EngineError("invalid", `${why}: invalid argument`);
}

/** Other names that people and old images use. */
export function normalizePlatform({ os, architecture, variant = "" }: Platform): Platform {
  const name = architecture.toLowerCase();
  const lower = variant.toLowerCase();
  switch (name) {
    case "x86_64":
    case "x86-64":
    case "amd64":
      return withVariant(os, "amd64", lower === "v1" ? "" : lower);
    case "i386":
    case "i486":
    case "i586":
    case "i686":
    case "386":
      return withVariant(os, "386", "");
    case "aarch64":
    case "arm64":
      return withVariant(os, "arm64", lower === "" || lower === "8" ? "v8" : lower);
    case "armhf":
      return withVariant(os, "arm", "v7");
    case "armel":
      return withVariant(os, "arm", "v6");
    case "arm":
      return withVariant(os, "arm", lower === "" ? "v7" : /^\d$/.test(lower) ? `v${lower}` : lower);
    default:
      return withVariant(os, name, lower);
  }
}

/** The best of several for `wanted`, by its index; undefined when none will run. An entry without platform never matches. */
export function choosePlatform(wanted: Platform, offered: (Platform | undefined)[]): number | undefined {
  const accepted = acceptedFor(normalizePlatform(wanted)).map(formatPlatform);
  let best: { index: number; rank: number } | undefined;
  for (const [index, platform] of offered.entries()) {
    const rank = platform === undefined ? -1 : accepted.indexOf(formatPlatform(normalizePlatform(platform)));
    if (rank !== -1 && (best === undefined || rank < best.rank)) best = { index, rank };
  }
  return best?.index;
}

/** What to say of an image that is not for the platform asked for; undefined when it is. */
export function platformMismatch(image: Platform, shownAs: string, asked: Platform): string | undefined {
  const actual: Platform = { os: image.os, architecture: image.architecture, variant: image.variant };
  if (choosePlatform(asked, [actual]) !== undefined) return undefined;
  return `image with reference ${shownAs} was found but its platform (${formatPlatform(actual)}) does not match the specified platform (${formatPlatform(normalizePlatform(asked))})`;
}

/** `linux/arm64/v8`. */
export function formatPlatform({ os, architecture, variant = "" }: Platform): string {
  return variant === "" ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** What runs on a machine of this platform, best first. */
function acceptedFor(platform: Platform): Platform[] {
  const { os, architecture, variant = "" } = platform;
  const version = Number(/^v(\d)$/.exec(variant)?.[1] ?? 0);
  const armVersions = (from: number): Platform[] => numbersDown(from, 5).map((number) => withVariant(os, "arm", `v${number}`));
  switch (architecture) {
    case "amd64": {
      const levels = numbersDown(version, 2).map((number) => withVariant(os, "amd64", `v${number}`));
      return [...levels, withVariant(os, "amd64", ""), withVariant(os, "386", "")];
    }
    case "arm":
      return version === 0 ? [platform] : armVersions(version);
    case "arm64":
      return [platform, ...(variant === "v8" ? [] : [withVariant(os, "arm64", "v8")]), ...armVersions(8)];
    default:
      return [platform];
  }
}

function numbersDown(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, from - to + 1) }, (_, index) => from - index);
}

function withVariant(os: string, architecture: string, variant: string): Platform {
  return variant === "" ? { os, architecture } : { os, architecture, variant };
}
