import { chmod, writeFile } from "node:fs/promises";

import { EngineError } from "../../../base/errors.ts";
import { newId } from "../../../base/ids.ts";
import type { OciMount } from "../../containers/oci-mounts.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { StepFailedError } from "../builds.ts";
import { scriptOf } from "../dockerfile/run.ts";
import type { RunInstruction } from "../dockerfile/syntax.ts";
import { planMounts } from "./run-mounts.ts";
import { cachedStep, type Step, type StepResult } from "./steps.ts";
import { shellOf, type StageState } from "./stage-state.ts";

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

  const mounts = await planMounts(step, instruction);
  const { hostConfig, keys } = isolationOf(step, instruction);
  const work = async (): Promise<StepResult> => {
    const containerId = newId();
    text.write(` ---> Running in ${containerId.slice(0, 12)}\n`);
    const { run } = build;
    await using stack = new AsyncDisposableStack();
    const prepared = await mounts.prepare(stack);
    if (script.form === "file") prepared.mounts.push(await scriptMount(step, script, stack));
    const staged = await run.stage(state.layer);
    const { exitCode } = await run.slots.run(run.signal, () =>
      run.engine.containers.runStep(
        {
          id: containerId,
          config: {
            Cmd: words,
            // As Docker: not the image's entrypoint, and no health check.
            Entrypoint: [],
            Env: [...(config.Env ?? []), ...values.map((one) => one.text), ...prepared.env],
            User: config.User ?? "",
            WorkingDir: config.WorkingDir ?? "",
            Labels: config.Labels ?? {},
            AttachStdout: true,
            AttachStderr: true,
          },
          hostConfig,
          root: {
            mount: (target) => staged.mount(target, { mountPoints: true, further: prepared.places }),
            unmount: () => staged.unmount(),
          },
          extraMounts: prepared.mounts,
          onOutput: (stream, bytes) => (stream === "stdout" ? text.write(bytes.toString("utf8")) : text.writeError(bytes.toString("utf8"))),
        },
        run.signal,
      ),
    );
    if (exitCode !== 0) {
      if (build.request.removal === "always") build.sayRemoved(text, containerId);
      throw new StepFailedError(`The command '${words.join(" ")}' returned a non-zero code: ${exitCode}`, exitCode);
    }
    const content = await staged.finish(run.signal);
    build.sayRemoved(text, containerId);
    return { containerId, layer: { staged, content } };
  };
  return cachedStep(step, containerConfig, config, work, [...mounts.keys, ...keys, ...(script.form === "file" ? [script.content] : [])]);
}

/** `--network` and `--security`: what the client has not allowed is refused. */
function isolationOf({ build }: Step, { network, security }: RunInstruction): { hostConfig: Record<string, unknown>; keys: string[] } {
  const { request } = build;
  const check = (entitlement: string): void => {
    if (!request.allowed.has(entitlement)) {
      throw new EngineError(
        "forbidden",
        `${entitlement} is not allowed: a RUN asks for it, and the build was not started with --allow ${entitlement}`,
      );
    }
  };
  if (network === "host" && request.hostConfig["NetworkMode"] !== "host") check("network.host");
  if (security === "insecure") check("security.insecure");
  return {
    hostConfig: {
      ...request.hostConfig,
      ...(network === undefined || network === "default" ? {} : { NetworkMode: network }),
      ...(security === "insecure" ? { Privileged: true } : {}),
    },
    keys: [network === "default" ? undefined : network, security === "sandbox" ? undefined : security]
      .map((one) => one ?? "")
      .filter((one) => one !== ""),
  };
}

/** A heredoc that begins with `#!` is a program of its own. */
async function scriptMount({ build }: Step, script: { path: string; content: string }, stack: AsyncDisposableStack): Promise<OciMount> {
  const file = build.run.filePath();
  stack.defer(() => build.run.discard(file));
  await writeFile(file, script.content, { flag: "wx", mode: 0o755 });
  await chmod(file, 0o755);
  return { destination: script.path, type: "bind", source: file, options: ["rbind", "rprivate", "ro"] };
}
