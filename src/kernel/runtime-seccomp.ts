import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { codeOf } from "../base/errors.ts";

/**
 * Seccomp filters compiled once. libseccomp needs 15–19 ms for Docker's default profile at each start; crun takes a compiled filter
 * in the annotation `run.oci.seccomp_bpf_data` instead. The first container with a profile starts the plain way and leaves its filter in
 * crun's state folder; we keep those bytes under the hash of the profile and of the crun program, and later containers carry them.
 * The filter is the same to the byte, and `crun exec` puts it on exec'd processes too.
 */
export type PreparedSeccomp =
  /** No profile, or one that must stay JSON. */
  | { kind: "plain" }
  /** The first of its kind: `learnFilter` keeps the result. */
  | { kind: "unknown"; key: string }
  /** The bundle carries the compiled filter; `original` is the text of its config.json before. */
  | { kind: "compiled"; key: string; original: string };

const ANNOTATION = "run.oci.seccomp_bpf_data";
/** Above this the filter is not a sane one (BPF_MAXINSNS is 4096 of 8 bytes). */
const FILTER_LIMIT_BYTES = 4096 * 8;
const CACHE_LIMIT = 64;

/** Compiled filters in base64, by key; null is one known not to work. */
const filters = new Map<string, string | null>();

/** Puts the compiled filter into a bundle's config.json where one is known. */
export function prepareSeccomp(bundlePath: string, cacheFolder: string, runtimeFingerprint: string): PreparedSeccomp {
  const file = path.join(bundlePath, "config.json");
  const original = readFileSync(file, "utf8");
  // The runtime-spec's shape; the daemon wrote it and the runtime checks it.
  const config = JSON.parse(original) as { linux?: { seccomp?: Record<string, unknown> }; annotations?: Record<string, string> };
  const profile = config.linux?.seccomp;
  if (profile === undefined || !canCompile(profile) || config.annotations?.[ANNOTATION] !== undefined) return { kind: "plain" };
  const key = createHash("sha256").update(runtimeFingerprint).update("\0").update(JSON.stringify(profile)).digest("hex");
  const filter = filters.has(key) ? filters.get(key) : readCached(cacheFolder, key);
  if (filter === null) return { kind: "plain" };
  if (filter === undefined) return { kind: "unknown", key };
  remember(key, filter);
  delete config.linux?.seccomp;
  config.annotations = { ...config.annotations, [ANNOTATION]: filter };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return { kind: "compiled", key, original };
}

/** Keeps the filter that the runtime has compiled for a container, if it left one. */
export function learnFilter(key: string, stateFolder: string, cacheFolder: string): void {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path.join(stateFolder, "seccomp.bpf"));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    remember(key, null);
    return;
  }
  if (bytes.length === 0 || bytes.length % 8 !== 0 || bytes.length > FILTER_LIMIT_BYTES) {
    remember(key, null);
    return;
  }
  remember(key, bytes.toString("base64"));
  mkdirSync(cacheFolder, { recursive: true, mode: 0o700 });
  const temporary = path.join(cacheFolder, `${key}.${process.pid}.tmp`);
  writeFileSync(temporary, bytes, { mode: 0o600 });
  renameSync(temporary, path.join(cacheFolder, `${key}.bpf`));
}

/** Takes the filter out of a bundle again and never uses it again: for a runtime that refused it. */
export function revertSeccomp(bundlePath: string, prepared: PreparedSeccomp & { kind: "compiled" }): void {
  remember(prepared.key, null);
  writeFileSync(path.join(bundlePath, "config.json"), prepared.original, { mode: 0o600 });
}

/** Filters that report to a listener or set flags need the JSON: the annotation carries nothing but the program. */
function canCompile(profile: Record<string, unknown>): boolean {
  const flags = profile["flags"];
  if (Array.isArray(flags) && flags.length > 0) return false;
  if (profile["listenerPath"] !== undefined || profile["listenerMetadata"] !== undefined) return false;
  return !JSON.stringify(profile["syscalls"] ?? []).includes("SCMP_ACT_NOTIFY") && profile["defaultAction"] !== "SCMP_ACT_NOTIFY";
}

function readCached(cacheFolder: string, key: string): string | undefined {
  try {
    const bytes = readFileSync(path.join(cacheFolder, `${key}.bpf`));
    return bytes.length > 0 && bytes.length % 8 === 0 ? bytes.toString("base64") : undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function remember(key: string, filter: string | null): void {
  filters.delete(key);
  filters.set(key, filter);
  const [oldest] = filters.keys();
  if (filters.size > CACHE_LIMIT && oldest !== undefined) filters.delete(oldest);
}
