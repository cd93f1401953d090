import { StringDecoder } from "node:string_decoder";

import { EngineError } from "../../../base/errors.ts";
import { newId, shortId } from "../../../base/ids.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { StepFailedError } from "../builds.ts";
import { scriptOf } from "../../../dockerfile/run.ts";
import type { RunInstruction } from "../../../dockerfile/syntax.ts";
import { Vertex } from "../graph/operation.ts";
import { planMounts } from "./run-mounts.ts";
import { cachedStep, type Step, type StepResult } from "./steps.ts";
import type { StageState } from "./stage-state.ts";
import { shellOf } from "../../images/config-instructions.ts";

/** RUN: a process in the stage's tree, whose changes become a layer. */
export async function runStep(step: Step, instruction: RunInstruction): Promise<StageState> {
  const { state, build, text } = step;
  const { config } = state;
  const script = scriptOf(instruction);
  const words = script.form === "exec" ? script.words : [...shellOf(config), script.form === "shell" ? script.text : script.path];
  const values = [...state.args.values(config.Env ?? [])].map(([name, value]) => ({ name, text: `${name}=${value}` }));
  const counted = values
    .filter(({ name }) => state.args.counts(name))
    .map((one) => one.text)
    .sort();
  const shown = values.length === 0 ? words : [`|${counted.length}`, ...counted, ...words];
  const containerConfig: ContainerDefaults = { ...config, Cmd: shown, Entrypoint: null };

  const mounts = await planMounts(step, instruction, script.form === "file" ? script : undefined);
  const hostConfig = isolationOf(step, instruction);
  const work = async (): Promise<StepResult> => {
    const containerId = newId();
    text.write(` ---> Running in ${shortId(containerId)}\n`);
    const decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
    const vertex = new Vertex({
      kind: "exec",
      base: state.files,
      words,
      env: [...(config.Env ?? []), ...counted],
      uncountedEnv: values.map((one) => one.text).filter((one) => !counted.includes(one)),
      user: config.User ?? "",
      workingDir: config.WorkingDir ?? "",
      labels: config.Labels ?? {},
      hostConfig,
      mounts,
      containerId,
      onOutput: (stream, bytes) => {
        const written = decoders[stream].write(bytes);
        if (stream === "stdout") text.write(written);
        else text.writeError(written);
      },
    });
    try {
      // The step was looked for already, by the classic rules: what they do not find runs.
      const solved = await build.solver.solve(vertex, { ignoreResults: true });
      build.sayRemoved(text, containerId);
      return { containerId, files: { vertex, solved } };
    } catch (error) {
      if (error instanceof StepFailedError && build.request.removal === "always") build.sayRemoved(text, containerId);
      throw error;
    }
  };
  return cachedStep(step, containerConfig, config, work, [...mounts.keys, instruction.network ?? "", instruction.security ?? ""]);
}

/** `--network` and `--security`: what the client has not allowed is refused. */
function isolationOf({ build }: Step, { network, security }: RunInstruction): Record<string, unknown> {
  const { request } = build;
  const check = (entitlement: string): void => {
    if (request.allowed.has(entitlement)) return;
    throw new EngineError(
      "forbidden",
      `${entitlement} is not allowed: a RUN asks for it, and the build was not started with --allow ${entitlement}`,
    );
  };
  if (network === "host" && request.hostConfig["NetworkMode"] !== "host") check("network.host");
  if (security === "insecure") check("security.insecure");
  return {
    ...request.hostConfig,
    ...(network === undefined || network === "default" ? {} : { NetworkMode: network }),
    ...(security === "insecure" ? { Privileged: true } : {}),
  };
}
