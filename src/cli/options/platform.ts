import type { Flags } from "../arguments.ts";
import { messageOf } from "../../base/errors.ts";

/**
 * Platforms, `os[(version)][/arch[/variant]]`, with the names that people use for them: `aarch64`, `x86_64`, `armhf`, `macos`. A single word
 * may be an operating system or an architecture; the other part is then this machine's, or Linux.
 */
export type Platform = {
  readonly architecture: string;
  readonly os: string;
  readonly "os.version"?: string;
  readonly variant?: string;
};

const SYSTEMS = new Set(
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(" "),
);
const ARCHITECTURES = new Set(
  "386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm".split(
    " ",
  ),
);
const OTHER_NAMES: Readonly<Record<string, string>> = {
  i386: "386",
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
  armhf: "arm",
  armel: "arm/v6",
};
const SYSTEM = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$/;
const COMPONENT = /^[A-Za-z0-9_.-]+$/;

/** What `--platform` says, or else the variable that sets it for all. */
export function platformFlag(flags: Flags): string {
  return flags.changed("platform") ? flags.text("platform") : (process.env["DOCKER_DEFAULT_PLATFORM"] ?? "");
}

export function parsePlatform(text: string): Platform {
  const [first = "", ...rest] = text.split("/");
  if (rest.length > 2) throw new Error(`${JSON.stringify(text)}: cannot parse platform specifier: invalid argument`);
  const [, name, version] = SYSTEM.exec(first) ?? [];
  if (name === undefined) throw invalid("OS component", first, text, `OSAndVersion specifier component must match "${escaped(SYSTEM)}"`);
  for (const part of rest)
    if (!COMPONENT.test(part)) throw invalid("component", part, text, `platform specifier component must match "${escaped(COMPONENT)}"`);
  const os = name.toLowerCase() === "macos" ? "darwin" : name.toLowerCase();
  if (rest.length > 0) return { ...architectureOf(rest[0] ?? "", rest[1] ?? ""), os, ...(version && { "os.version": version }) };
  if (SYSTEMS.has(os))
    return { architecture: process.arch === "x64" ? "amd64" : process.arch, os, ...(version && { "os.version": version }) };
  const alone = architectureOf(name, "");
  if (ARCHITECTURES.has(alone.architecture)) return { ...alone, os: "linux" };
  throw new Error(`${JSON.stringify(text)}: unknown operating system or architecture: invalid argument`);
}

/** As the Engine API takes it where it takes JSON. Empty is none. */
export function encodePlatform(text: string): string | undefined {
  return text === "" ? undefined : JSON.stringify(parsePlatform(text));
}

/** The same of `--platform` of the commands that carry images as archives. */
export function archivePlatform(flags: Flags): string | undefined {
  try {
    return encodePlatform(flags.text("platform"));
  } catch (error) {
    throw new Error(`invalid platform: ${messageOf(error)}`, { cause: error });
  }
}

/** As the Engine API takes it where it takes a path. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
}

function architectureOf(given: string, givenVariant: string): { architecture: string; variant?: string } {
  const known = given.toLowerCase();
  const [architecture = "", implied = ""] = (OTHER_NAMES[known] ?? known).split("/");
  const variant = (givenVariant.toLowerCase() || implied).replace(/^(?=[5-8]$)/, "v");
  const isPlain = variant === "" || (architecture === "amd64" && variant === "v1");
  return isPlain ? { architecture } : { architecture, variant };
}

function invalid(what: string, part: string, text: string, rule: string): Error {
  return new Error(`${JSON.stringify(part)} is an invalid ${what} of ${JSON.stringify(text)}: ${rule}: invalid argument`);
}

/** A pattern as Go quotes it. */
function escaped({ source }: RegExp): string {
  return source.replaceAll("\\", "\\\\");
}
