import { buildParameters, MAX_SECRET_BYTES, SECRETS_HEADER } from "../../api/build-request.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { BuildRequest, Builds } from "../../engine/build/builds.ts";
import type { BuildContext } from "../../engine/build/context/open-context.ts";
import { parsePlatform } from "../../engine/images/platform.ts";
import { type Answer, type Call, json, type Route } from "../call.ts";
import { BuildAnswer } from "../build-answer.ts";
import { readBuildAuth } from "../registry-auth.ts";

export function buildRoutes(builds: Builds): Route[] {
  return [
    { method: "POST", path: "/build", operation: "ImageBuild", handle: (call) => build(builds, call) },
    { method: "POST", path: "/build/prune", operation: "BuildPrune", handle: (call) => prune(builds, call) },
    { method: "POST", path: "/build/cancel", operation: "BuildCancel", handle: (call) => cancel(builds, call) },
  ];
}

async function build(builds: Builds, call: Call): Promise<Answer> {
  const request = buildRequest(call, await contextOf(call));
  return {
    kind: "stream",
    contentType: "application/json",
    async write(output) {
      const answer = new BuildAnswer(output, { tellsSteps: call.query.flag(buildParameters.progress) });
      try {
        await builds.build(request, answer, call.signal);
      } catch (error) {
        if (!answer.used) throw error;
        answer.addError(error);
      }
      await answer.end();
    },
  };
}

async function prune(builds: Builds, { query, version, signal }: Call): Promise<Answer> {
  const bytes = (name: string): number => {
    const text = query.text(name) ?? "0";
    if (!/^[+-]?\d+$/.test(text))
      throw new EngineError(
        "invalid",
        `${name} is in bytes and expects an integer, got ${text}: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
      );
    return Math.max(Number(text), 0);
  };
  const isNew = version >= 1048;
  const request = {
    all: query.flag("all"),
    filters: query.filters(),
    // keep-storage is the name that it had before.
    reservedBytes: (isNew ? bytes("reserved-space") : 0) || bytes("keep-storage"),
    maxUsedBytes: isNew ? bytes("max-used-space") : 0,
    minFreeBytes: isNew ? bytes("min-free-space") : 0,
  };
  try {
    const { deleted, reclaimedBytes } = await builds.pruneCache(request, signal);
    return json({ CachesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimedBytes });
  } catch (error) {
    const kind = error instanceof EngineError ? error.kind : "system";
    throw new EngineError(kind, `failed to prune build cache: ${messageOf(error)}`, { cause: error });
  }
}

/** As Docker's: a build that is not (or no longer) there is no error. */
function cancel(builds: Builds, { query }: Call): Answer {
  const id = query.text("id");
  if (id === undefined) throw new EngineError("invalid", "build ID not provided");
  builds.cancel(id);
  return { kind: "empty", status: 200 };
}

/** The query of `POST /build`, as moby's decodes it (api/server/router/build). */
function buildRequest({ query, headers, version }: Call, context: BuildContext): BuildRequest {
  const platform = query.text("platform");
  const remove = query.text("rm");
  return {
    id: query.text("buildid"),
    context,
    dockerfile: query.text("dockerfile") ?? "Dockerfile",
    tags: query.all("t"),
    buildArgs: new Map(Object.entries(textMap(query.text("buildargs"), "buildargs")).map(([name, value]) => [name, value ?? undefined])),
    labels: new Map(Object.entries(textMap(query.text("labels"), "labels")).map(([name, value]) => [name, value ?? ""])),
    target: query.text("target") ?? "",
    noCache: query.flag("nocache"),
    noCacheFilter: new Set(query.all(buildParameters.noCacheFilter).map((name) => name.toLowerCase())),
    contexts: new Map(
      Object.entries(textMap(query.text(buildParameters.contexts), buildParameters.contexts)).map(([name, value]) => [name, value ?? ""]),
    ),
    check: query.flag(buildParameters.check),
    pull: query.flag("pull"),
    cacheFrom: textList(query.text("cachefrom"), "cachefrom"),
    squash: query.flag("squash"),
    removal: query.flag("forcerm") ? "always" : remove === undefined || remove === "" || query.flag("rm") ? "onSuccess" : "never",
    quiet: query.flag("q"),
    platform: platform === undefined || version < 1032 ? undefined : parsePlatform(platform),
    hostConfig: hostConfigOf(query),
    allowed: new Set(query.all(buildParameters.allow)),
    secrets: readSecrets(headers[SECRETS_HEADER.toLowerCase()]),
    sshAgents: new Map(
      Object.entries(textMap(query.text(buildParameters.ssh), buildParameters.ssh)).map(([id, socket]) => [id, socket ?? ""]),
    ),
    auth: readBuildAuth(headers["x-registry-config"]),
  };
}

/** `remote`, or a folder of this machine, with its device and inode), else the body. */
async function contextOf({ query, body }: Call): Promise<BuildContext> {
  const remote = query.text("remote");
  if (remote !== undefined && remote !== "") return { kind: "remote", url: remote };
  const folder = query.text(buildParameters.context);
  if (folder === undefined) return { kind: "archive", bytes: body.stream() };
  if (!folder.startsWith("/"))
    throw new EngineError("invalid", `${buildParameters.context}: ${JSON.stringify(folder)} is no absolute path`);
  let text = "";
  for await (const chunk of body.stream()) {
    text += Buffer.from(chunk).toString("latin1");
    if (text.length > MAX_TEXT_BYTES)
      throw new EngineError("tooLarge", `the Dockerfile is larger than ${MAX_TEXT_BYTES} bytes, the most that is read`);
  }
  const dockerfile = text === "" ? undefined : Buffer.from(text, "latin1").toString("utf8");
  return {
    kind: "folder",
    path: folder,
    device: query.text(buildParameters.device) ?? "",
    inode: query.text(buildParameters.inode) ?? "",
    dockerfile,
  };
}

/** The largest Dockerfile. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/** The secrets that the client sent: JSON in base64url, from ids to contents in base64. */
function readSecrets(header: string | string[] | undefined): Map<string, Buffer> {
  if (typeof header !== "string" || header === "") return new Map();
  const found = new Map<string, Buffer>();
  for (const [id, content] of Object.entries(textMap(Buffer.from(header, "base64").toString("utf8"), "the secrets"))) {
    const bytes = Buffer.from(content ?? "", "base64");
    if (bytes.length > MAX_SECRET_BYTES)
      throw new EngineError("invalid", `secret ${id} has ${bytes.length} bytes (at most ${MAX_SECRET_BYTES})`);
    found.set(id, bytes);
  }
  return found;
}

function hostConfigOf(query: Call["query"]): Record<string, unknown> {
  const number = (name: string): number => query.integer(name) ?? 0;
  return {
    NetworkMode: query.text("networkmode") ?? "",
    ExtraHosts: query.all("extrahosts"),
    CgroupParent: query.text("cgroupparent") ?? "",
    CpuShares: number("cpushares"),
    CpuPeriod: number("cpuperiod"),
    CpuQuota: number("cpuquota"),
    CpusetCpus: query.text("cpusetcpus") ?? "",
    CpusetMems: query.text("cpusetmems") ?? "",
    Memory: number("memory"),
    MemorySwap: number("memswap"),
    ShmSize: number("shmsize"),
    Ulimits: query.text("ulimits") === undefined ? null : jsonOf(query.text("ulimits") ?? "", "ulimits"),
    SecurityOpt: query.all("securityopt"),
    Isolation: query.text("isolation") ?? "",
  };
}

function textList(text: string | undefined, what: string): string[] {
  const value = text === undefined ? null : jsonOf(text, what);
  if (value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new EngineError("invalid", `error reading ${what}: it is no list of texts`);
}

function textMap(text: string | undefined, what: string): Record<string, string | null> {
  if (text === undefined || text === "") return {};
  const value = jsonOf(text, what);
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
  const isText = (item: unknown): boolean => typeof item === "string" || item === null;
  if (value !== null && (!isMap || !Object.values(value).every(isText)))
    throw new EngineError("invalid", `error reading ${what}: it is no map of texts`);
  // Just looked at.
  return (value ?? {}) as Record<string, string | null>;
}

function jsonOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EngineError("invalid", `error reading ${what}: ${messageOf(error)}`);
  }
}
