import type { Flag, Flags } from "../arguments.ts";
import { buildParameters } from "../../api/build-request.ts";
import type { Query } from "../engine/client.ts";
import { parseReference } from "../reference.ts";
import { parseUlimit } from "./devices.ts";
import { checkLabel, checkVariable } from "./environment.ts";
import { splitLists } from "./string-lists.ts";
import { checkExtraHost, cut, parseSizeBytes, toMap } from "./values.ts";

/** The flags of `build`, and what they ask of the engine. Those of the section "Tsubo's own" need our engine. */

const text = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "text", value: "string", usage, ...more });
const list = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "list", value: "list", usage, ...more });
const flag = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "boolean", usage, ...more });
const integer = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "integer", value: "int", usage, ...more });
const bytes = (name: string, usage: string, more: Partial<Flag> = {}): Flag =>
  text(name, usage, { value: "bytes", check: (given) => String(parseSizeBytes(given)), ...more });
const section = (title: string, flags: readonly Flag[]): Flag[] => flags.map((each) => ({ ...each, section: title }));

const PROGRESS = ["auto", "plain", "tty", "quiet"];

export const buildFlags: readonly Flag[] = [
  list("build-arg", "Value of an ARG (NAME=value, or NAME for the value it has here)", { check: checkVariable }),
  list("cache-from", "Images whose layers may be taken for steps", { value: "strings" }),
  flag("compress", "Compress the context while it is sent"),
  flag("disable-content-trust", "", { initial: "true", hidden: true }),
  text("file", "The Dockerfile (PATH/Dockerfile), or - for standard input", { short: "f" }),
  text("iidfile", "Write the image's id to this file"),
  list("label", "Label (key=value)", { check: checkLabel }),
  flag("load", "", { hidden: true }),
  flag("no-cache", "Take no step from the cache"),
  text("platform", "Platform to build for, such as linux/arm64", { since: "1.38" }),
  text("provenance", "", { hidden: true, check: checkNone }),
  text("progress", "How to show it: auto, plain, tty, quiet", { initial: "auto", check: checkProgress }),
  flag("pull", "Ask the registry for newer base images"),
  flag("push", "Push it by all its names when it is built"),
  flag("quiet", "Print only the image's id", { short: "q" }),
  text("sbom", "", { hidden: true, check: checkNone }),
  flag("squash", "One layer in place of all that the build adds", { since: "1.25" }),
  list("tag", "Name of the image (name:tag)", { short: "t", check: checkTag }),
  text("target", "The last stage to build"),
  ...section("Steps", [
    list("add-host", "Another name in the hosts file of steps (name:ip)", { check: checkExtraHost }),
    text("cgroup-parent", "Cgroup to put those of steps into"),
    integer("cpu-period", "Length of the CPU scheduler's period, in microseconds"),
    integer("cpu-quota", "CPU time in each period, in microseconds"),
    integer("cpu-shares", "Relative weight for CPU time", { short: "c" }),
    text("cpuset-cpus", "CPUs that steps may run on (0-3, 0,1)"),
    text("cpuset-mems", "Memory nodes that steps may use (0-3, 0,1)"),
    flag("force-rm", "Remove the container of a step that failed, too"),
    text("isolation", "Isolation technology (Windows only)", { hidden: true }),
    bytes("memory", "Limit on the memory of a step, such as 200m or 1.5g", { short: "m" }),
    bytes("memory-swap", "Limit on memory and swap together, -1 for no limit on swap", { check: checkSwap }),
    text("network", "Network of steps: default, none, host, a name", { initial: "default", since: "1.25" }),
    flag("rm", "Remove the containers of steps", { initial: "true" }),
    list("security-opt", "Security option of steps", { value: "strings" }),
    bytes("shm-size", "Size of /dev/shm in steps"),
    list("ulimit", "Resource limit of steps (name=soft[:hard])", { value: "ulimit", check: checkUlimit }),
  ]),
  ...section("Tsubo's own", [
    list("allow", "What steps may do beyond the usual: security.insecure, network.host", { value: "strings" }),
    list("build-context", "Another context, by name (NAME=folder, image or URL), for FROM and --from", { check: checkContext }),
    flag("check", "Look for mistakes in the Dockerfile, and build nothing"),
    list("no-cache-filter", "Stages to take no step of from the cache", { value: "strings" }),
    list("secret", "File or variable that a RUN may see (id=…,src=FILE or id=…,env=NAME)"),
    flag("shell-on-failure", "A shell in the failed step"),
    list("ssh", "SSH agent or key that a RUN may use (default, or id=FILE)"),
  ]),
];

/** What `POST /build` is asked for, but for the context. `proxies` are build arguments that were not given by hand. */
export function buildQuery(flags: Flags, proxies: readonly string[]): Query {
  const args = Object.fromEntries([...proxies, ...flags.list("build-arg")].map((arg) => [cut(arg, "=")[0], cut(arg, "=")[1] ?? null]));
  const labels = toMap(flags.list("label"));
  const ulimits = new Map(flags.list("ulimit").map((limit) => [parseUlimit(limit).Name, parseUlimit(limit)]));
  const [network, isolation] = [flags.text("network"), flags.text("isolation")];
  return {
    t: flags.list("tag"),
    q: flags.boolean("quiet") || flags.text("progress") === "quiet" || undefined,
    nocache: flags.boolean("no-cache") || undefined,
    rm: flags.boolean("rm") ? undefined : false,
    forcerm: flags.boolean("force-rm") || undefined,
    pull: flags.boolean("pull") || undefined,
    squash: flags.boolean("squash") || undefined,
    isolation: isolation === "default" ? undefined : isolation || undefined,
    cpusetcpus: flags.text("cpuset-cpus") || undefined,
    cpusetmems: flags.text("cpuset-mems") || undefined,
    networkmode: network === "default" ? undefined : network || undefined,
    cpushares: flags.integer("cpu-shares") || undefined,
    cpuquota: flags.integer("cpu-quota") || undefined,
    cpuperiod: flags.integer("cpu-period") || undefined,
    memory: flags.text("memory") || undefined,
    memswap: flags.text("memory-swap") || undefined,
    shmsize: flags.text("shm-size") || undefined,
    cgroupparent: flags.text("cgroup-parent") || undefined,
    target: flags.text("target") || undefined,
    extrahosts: flags.list("add-host"),
    securityopt: splitLists(flags.list("security-opt")),
    ulimits: json([...ulimits.values()]),
    buildargs: json(args),
    labels: json(labels),
    cachefrom: json(splitLists(flags.list("cache-from"))),
    platform:
      (flags.changed("platform") ? flags.text("platform") : (process.env["DOCKER_DEFAULT_PLATFORM"] ?? "")).toLowerCase() || undefined,
    version: 1,
    [buildParameters.noCacheFilter]: splitLists(flags.list("no-cache-filter")),
    [buildParameters.allow]: splitLists(flags.list("allow")),
    [buildParameters.check]: flags.boolean("check") || undefined,
  };
}

/** The flags given that only our engine understands. */
export function ownFlags(flags: Flags): string[] {
  return buildFlags.filter(({ name, section: title }) => title === "Tsubo's own" && flags.changed(name)).map(({ name }) => `--${name}`);
}

function json(value: object): string | undefined {
  return Object.keys(value).length === 0 ? undefined : JSON.stringify(value);
}

/** Scripts for BuildKit say that they want none. */
function checkNone(given: string): string {
  if (given !== "false") throw new Error("the engine makes no attestations; only false is understood");
  return given;
}

function checkTag(name: string): string {
  parseReference(name);
  return name;
}

function checkSwap(given: string): string {
  return given === "-1" ? given : String(parseSizeBytes(given));
}

function checkUlimit(given: string): string {
  parseUlimit(given);
  return given;
}

function checkProgress(given: string): string {
  if (!PROGRESS.includes(given)) throw new Error(`must be one of ${PROGRESS.join(", ")}`);
  return given;
}

function checkContext(given: string): string {
  const [name, value = ""] = cut(given, "=");
  if (name === "" || value === "") throw new Error(`invalid context value: ${given}, expected key=value`);
  return given;
}
