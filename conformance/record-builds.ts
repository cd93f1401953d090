import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { requestOverSocket } from "../src/testing/api-client.ts";
import { run } from "../src/testing/run.ts";
import { importBase } from "./builds/base-image.ts";
import { type Case, readGroups } from "./builds/case.ts";
import type { Engine } from "./builds/engine.ts";
import { ImageReader, type Observation, observe } from "./builds/observe.ts";

// Writes golden files anew from a reference engine; see builds/README.md.
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { host: { type: "string" }, cli: { type: "string", default: "docker" }, "buildkit-cli": { type: "string", default: "docker" } },
});
if (values.host?.startsWith("unix://") !== true) throw new Error("name the reference engine: --host=unix:///path/of/its.sock");
const host = values.host;

const engine: Engine = {
  api: (method, apiPath, body) => requestOverSocket(host.slice("unix://".length), method, apiPath, body),
  cli: (args, builder) =>
    run([builder === "buildkit" ? values["buildkit-cli"] : values.cli, "build", ...args], {
      env: { DOCKER_HOST: host, DOCKER_BUILDKIT: builder === "buildkit" ? "1" : "0", DOCKER_CLI_HINTS: "false" },
    }),
};
await importBase(engine);
const reader = new ImageReader();
for (const { name, cases, goldenPath } of readGroups()) {
  const wanted = cases.filter(
    (one) => one.expect === undefined && (positionals.length === 0 || positionals.some((word) => [name, one.name].includes(word))),
  );
  if (wanted.length === 0) continue;
  const old = existsSync(goldenPath) ? (JSON.parse(readFileSync(goldenPath, "utf8")) as Record<string, Observation>) : {};
  const golden: Record<string, Observation> = {};
  for (const one of cases) {
    const recorded = wanted.includes(one) ? await record(one) : one.expect === undefined ? old[one.name] : undefined;
    if (recorded !== undefined) golden[one.name] = recorded;
  }
  writeFileSync(goldenPath, `${JSON.stringify(golden, null, 1)}\n`);
  process.stdout.write(`${name}: ${wanted.length} recorded\n`);
}

async function record(one: Case): Promise<Observation> {
  try {
    return await observe(engine, one, reader);
  } catch (error) {
    throw new Error(`recording ${one.name}`, { cause: error });
  }
}
