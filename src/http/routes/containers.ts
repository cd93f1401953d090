import { containerConfig, createBody } from "../../api/container-config.ts";
import type { ApiVersion } from "../../api/versions.ts";
import { EngineError } from "../../base/errors.ts";
import type { Containers, Session } from "../../engine/containers/containers.ts";
import { type Answer, type Call, json, noContent, type Route } from "../call.ts";
import { adaptContainer, adaptContainerSummary, adaptCreate } from "../shims.ts";
import { notYet } from "./missing.ts";

export function containerRoutes(containers: Containers): Route[] {
  return [
    { method: "GET", path: "/containers/json", operation: "ContainerList", handle: (call) => list(containers, call) },
    { method: "POST", path: "/containers/create", operation: "ContainerCreate", handle: (call) => create(containers, call) },
    {
      method: "POST",
      path: "/containers/prune",
      operation: "ContainerPrune",
      handle: async ({ query }) => json(await containers.prune(query.filters())),
    },
    {
      method: "GET",
      path: "/containers/{name:.*}/json",
      operation: "ContainerInspect",
      handle: async ({ name, query, version }) =>
        json(adaptContainer(await containers.inspect(name, { size: query.flag("size") }), version)),
    },
    {
      method: "GET",
      path: "/containers/{name:.*}/top",
      operation: "ContainerTop",
      handle: async ({ name, query }) => json(await containers.top(name, query.text("ps_args") ?? "")),
    },
    { method: "GET", path: "/containers/{name:.*}/logs", operation: "ContainerLogs", handle: (call) => logs(containers, call) },
    notYet("GET", "/containers/{name:.*}/stats", "ContainerStats"),
    notYet("GET", "/containers/{name:.*}/attach/ws", "ContainerAttachWebsocket"),
    {
      method: "POST",
      path: "/containers/{name:.*}/resize",
      operation: "ContainerResize",
      handle: ({ name, query }) => done(containers.resize(name, terminalSize(query)), 200),
    },
    { method: "POST", path: "/containers/{name:.*}/start", operation: "ContainerStart", handle: (call) => start(containers, call) },
    {
      method: "POST",
      path: "/containers/{name:.*}/stop",
      operation: "ContainerStop",
      // Not with the call's signal: a client that goes away does not take the stop back.
      handle: (call) => done(containers.stop(call.name, stopOptions(call))),
    },
    {
      method: "POST",
      path: "/containers/{name:.*}/restart",
      operation: "ContainerRestart",
      handle: (call) => done(containers.restart(call.name, stopOptions(call))),
    },
    { method: "POST", path: "/containers/{name:.*}/kill", operation: "ContainerKill", handle: (call) => kill(containers, call) },
    notYet("POST", "/containers/{name:.*}/update", "ContainerUpdate"),
    {
      method: "POST",
      path: "/containers/{name:.*}/rename",
      operation: "ContainerRename",
      handle: ({ name, query }) => done(containers.rename(name, query.text("name") ?? "")),
    },
    {
      method: "POST",
      path: "/containers/{name:.*}/pause",
      operation: "ContainerPause",
      handle: ({ name }) => done(containers.pause(name)),
    },
    {
      method: "POST",
      path: "/containers/{name:.*}/unpause",
      operation: "ContainerUnpause",
      handle: ({ name }) => done(containers.unpause(name)),
    },
    {
      method: "POST",
      path: "/containers/{name:.*}/attach",
      operation: "ContainerAttach",
      upgrades: true,
      handle: (call) => attach(containers, call),
    },
    { method: "POST", path: "/containers/{name:.*}/wait", operation: "ContainerWait", handle: (call) => wait(containers, call) },
    {
      method: "DELETE",
      path: "/containers/{name:.*}",
      operation: "ContainerDelete",
      handle: ({ name, query }) =>
        done(containers.remove(name, { force: query.flag("force"), volumes: query.flag("v"), link: query.flag("link") })),
    },
    notYet("GET", "/containers/{name:.*}/checkpoints", "CheckpointList"),
    notYet("POST", "/containers/{name:.*}/checkpoints", "CheckpointCreate"),
    notYet("DELETE", "/containers/{name:.*}/checkpoints/{checkpoint}", "CheckpointDelete"),
  ];
}

async function done(work: Promise<void>, status = 204): Promise<Answer> {
  await work;
  return status === 204 ? noContent : { kind: "empty", status };
}

async function list(containers: Containers, { query, version }: Call): Promise<Answer> {
  const filters = query.filters();
  for (const name of ["before", "since"]) {
    const value = query.text(name);
    if (value !== undefined) filters.set(name, [...(filters.get(name) ?? []), value]);
  }
  const limit = query.integer("limit");
  const found = await containers.list({
    all: query.flag("all"),
    limit: limit !== undefined && limit > 0 ? limit : undefined,
    size: query.flag("size"),
    filters,
  });
  return json(found.map((container) => adaptContainerSummary(container, version)));
}

const CONFIG_FIELDS = new Set(Object.keys(containerConfig.zero()).map((name) => name.toLowerCase()));

async function create(containers: Containers, { query, body, version }: Call): Promise<Answer> {
  const parsed = await body.parsed();
  if (parsed === undefined) throw new EngineError("invalid", "invalid JSON: got EOF while reading request body");
  const decoded = createBody.decode(parsed, "");
  const named = typeof parsed === "object" && parsed !== null ? Object.keys(parsed) : [];
  if (!named.some((name) => CONFIG_FIELDS.has(name.toLowerCase())))
    throw new EngineError("invalid", "config cannot be empty in order to create a container");
  const warnings = adaptCreate(decoded, version);
  const platform = version >= 1041 ? query.text("platform") : undefined;
  const created = await containers.create(decoded, { name: query.text("name"), platform });
  return json({ Id: created.Id, Warnings: [...created.Warnings, ...warnings] }, 201);
}

function start(containers: Containers, { name, body }: Call): Promise<Answer> {
  // `{}` and `null` have been sent by clients for years; a whole HostConfig was taken until API 1.24.
  if (body.lengthBytes === undefined || body.lengthBytes > 7) {
    const since = "was deprecated since API v1.22 and removed in v1.24";
    throw new EngineError("invalid", `starting container with non-empty request body ${since}`);
  }
  return done(containers.start(name));
}

function stopOptions({ query, version }: Call): { signal: string | undefined; timeoutSeconds: number | undefined } {
  return { signal: version >= 1042 ? query.text("signal") : undefined, timeoutSeconds: query.integer("t") };
}

async function kill(containers: Containers, { name, query }: Call): Promise<Answer> {
  try {
    await containers.kill(name, query.text("signal"));
  } catch (error) {
    const prefix = `cannot kill container: ${name}: `;
    if (!(error instanceof EngineError) || error.message.startsWith(prefix)) throw error;
    throw new EngineError(error.kind, prefix + error.message, { cause: error });
  }
  return noContent;
}

function wait(containers: Containers, { name, query, version, signal }: Call): Answer {
  const condition = version >= 1030 ? (query.text("condition") ?? "not-running") : "not-running";
  if (condition !== "not-running" && condition !== "next-exit" && condition !== "removed")
    throw new EngineError("invalid", `invalid condition: ${JSON.stringify(condition)}`);
  const { ended } = containers.wait(name, condition, signal);
  return {
    kind: "stream",
    contentType: "application/json",
    async write(output) {
      // `docker run` starts the container only after it has seen the head.
      if (version >= 1030) output.flush();
      const { exitCode, error } = await ended;
      const failed = error === undefined || error === "" ? {} : { Error: { Message: error } };
      await output.write(`${JSON.stringify({ StatusCode: exitCode, ...failed })}\n`);
    },
  };
}

async function logs(containers: Containers, { name, query, headers, version, signal }: Call): Promise<Answer> {
  const [stdout, stderr] = [query.flag("stdout"), query.flag("stderr")];
  if (!stdout && !stderr) throw new EngineError("invalid", "Bad parameters: you must choose at least one stream");
  const tail = query.text("tail");
  const untilNs = query.timeNs("until");
  const { tty, frames } = await containers.logs(
    name,
    {
      follow: query.flag("follow"),
      stdout,
      stderr,
      sinceNs: query.timeNs("since"),
      untilNs: untilNs === 0n ? undefined : untilNs,
      timestamps: query.flag("timestamps"),
      details: query.flag("details"),
      // What is no number means all of it, and so does a negative one.
      tail: tail !== undefined && /^\d+$/.test(tail) ? Number(tail) : undefined,
      mergeFrames: takesBytes(headers["user-agent"]),
    },
    signal,
  );
  return {
    kind: "stream",
    contentType: streamType(tty, version),
    async write(output) {
      output.flush();
      // What comes next is decoded while this is on its way.
      let written: Promise<void> = Promise.resolve();
      for await (const chunk of frames) {
        await written;
        written = output.write(chunk);
        written.catch(() => undefined);
      }
      await written;
    },
  };
}

/** The two command lines copy a stream's bytes to their own output; what other clients do with a frame is not known. */
function takesBytes(userAgent: string | undefined): boolean {
  return /^(Docker|Tsubo)-Client\b/.test(userAgent ?? "");
}

async function attach(containers: Containers, { name, query, version, isRaw }: Call): Promise<Answer> {
  const session = await containers.attach(name, {
    logs: query.flag("logs"),
    stream: query.flag("stream"),
    stdin: query.flag("stdin"),
    stdout: query.flag("stdout"),
    stderr: query.flag("stderr"),
    detachKeys: query.text("detachKeys"),
    canHandOver: isRaw,
  });
  return answerOf(session, streamType(session.tty, version));
}

export function answerOf(session: Session, contentType: string): Answer {
  if ("handOver" in session) return { kind: "handOver", contentType, handOver: session.handOver };
  return { kind: "session", contentType, stream: session.stream };
}

/** Clients before 1.42 know only the one name, whatever is inside. */
export function streamType(tty: boolean, version: ApiVersion): string {
  return tty || version < 1042 ? "application/vnd.docker.raw-stream" : "application/vnd.docker.multiplexed-stream";
}

export function terminalSize(query: Call["query"]): { rows: number; columns: number } {
  return { rows: uint32(query.text("h"), "height"), columns: uint32(query.text("w"), "width") };
}

function uint32(text = "", what: string): number {
  const trouble = !/^-?\d+$/.test(text) ? "invalid syntax" : text.startsWith("-") || Number(text) > 0xffff_ffff ? "value out of range" : "";
  if (trouble !== "") throw new EngineError("invalid", `invalid resize ${what} ${JSON.stringify(text)}: ${trouble}`);
  return Number(text);
}
