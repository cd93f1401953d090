import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type { Answer } from "../../src/testing/api-client.ts";
import type { Output } from "../../src/testing/run.ts";
import type { Case } from "./case.ts";
import { packContext, writeContext } from "./context.ts";

/** An engine that builds cases: ours, or the reference. */
export interface Engine {
  api(method: string, apiPath: string, body?: unknown): Promise<Answer>;
  /** `build` of a command line, with the arguments behind it. */
  cli(args: string[], builder: "classic" | "buildkit"): Promise<Output>;
}

/** What a build said, and the image it made. */
export interface Built {
  text: string;
  error?: { status?: number; code?: number; message: string };
  imageId?: string;
}

type Wanted = Pick<Case, "name" | "dockerfile" | "context" | "flags" | "by" | "reference">;

export function build(engine: Engine, wanted: Wanted): Promise<Built> {
  const { dockerfile } = wanted;
  const context = { ...wanted.context, ...(dockerfile === undefined ? {} : { Dockerfile: dockerfile }) };
  if (wanted.reference === "buildkit") return buildByCli(engine, { ...wanted, context }, "buildkit");
  return wanted.by === "cli" ? buildByCli(engine, { ...wanted, context }, "classic") : buildByApi(engine, { ...wanted, context });
}

async function buildByApi(engine: Engine, { context = {}, flags = [] }: Wanted): Promise<Built> {
  const answer = await engine.api("POST", `/build?${queryOf(flags).toString()}`, packContext(context));
  // The API's own error, and its stream of messages.
  if (answer.status !== 200) return { text: "", error: { status: answer.status, message: (answer.json() as { message: string }).message } };
  const built: Built = { text: "" };
  for (const line of answer.text.split("\n").filter((one) => one.trim() !== "")) {
    const message = JSON.parse(line) as { stream?: string; aux?: { ID: string }; errorDetail?: { code?: number; message: string } };
    built.text += message.stream ?? "";
    if (message.errorDetail !== undefined) built.error = message.errorDetail;
  }
  // Docker tells one for each stage.
  const id = [...answer.text.matchAll(/"aux":\{"ID":"(sha256:\w+)"/g)].at(-1)?.[1] ?? /^sha256:\w+$/m.exec(built.text)?.[0];
  return id === undefined || built.error !== undefined ? built : { ...built, imageId: id };
}

async function buildByCli(engine: Engine, { context = {}, flags = [] }: Wanted, builder: "classic" | "buildkit"): Promise<Built> {
  const folder = mkdtempSync(path.join(tmpdir(), "tsubo-build-"));
  try {
    const idFile = path.join(folder, "iid");
    writeContext(path.join(folder, "context"), context);
    const output = await engine.cli([...flags, `--iidfile=${idFile}`, path.join(folder, "context")], builder);
    const message = output.stderr.replace(/^DEPRECATED: [\s\S]*?\n\n/, "").trim();
    if (output.code !== 0) return { text: output.stdout, error: { code: output.code, message: message.replaceAll(folder, "FOLDER") } };
    return { text: output.stdout, imageId: readFileSync(idFile, "utf8").trim() };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The query for flags of `docker build`, as its command line makes it. */
function queryOf(flags: string[]): URLSearchParams {
  const query = new URLSearchParams();
  const maps = { buildargs: {} as Record<string, string | null>, labels: {} as Record<string, string | null> };
  const pair = (map: Record<string, string | null>, text: string): void => {
    const equals = text.indexOf("=");
    map[equals === -1 ? text : text.slice(0, equals)] = equals === -1 ? null : text.slice(equals + 1);
  };
  for (const flag of flags) {
    const [name = "", value = ""] = /^(--?[\w-]+)(?:=([\s\S]*))?$/.exec(flag)?.slice(1) ?? [];
    if (name === "--build-arg") pair(maps.buildargs, value);
    else if (name === "--label") pair(maps.labels, value);
    else query.append(...parameterOf(name, value));
  }
  for (const [name, map] of Object.entries(maps)) if (Object.keys(map).length > 0) query.set(name, JSON.stringify(map));
  return query;
}

function parameterOf(name: string, value: string): [string, string] {
  switch (name) {
    case "-t":
    case "--tag":
      return ["t", value];
    case "-f":
    case "--file":
      return ["dockerfile", value];
    case "-q":
      return ["q", "1"];
    case "--no-cache":
      return ["nocache", "1"];
    case "--rm":
      return ["rm", value === "false" ? "0" : "1"];
    case "--force-rm":
      return ["forcerm", "1"];
    case "--network":
      return ["networkmode", value];
    case "--add-host":
      return ["extrahosts", value];
    case "--shm-size":
      return ["shmsize", value];
    case "--target":
    case "--platform":
    case "--memory":
      return [name.slice(2), value];
    default:
      throw new Error(`${name} is no flag that cases have`);
  }
}
