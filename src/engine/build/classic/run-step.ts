import { newId } from "../../../base/ids.ts";
import type { ContainerDefaults } from "../../images/image-config.ts";
import { StepFailedError } from "../builds.ts";
import { scriptOf } from "../dockerfile/run.ts";
import type { RunInstruction } from "../dockerfile/syntax.ts";
import { cachedStep, type Step } from "./steps.ts";
import { shellOf, type StageState } from "./stage-state.ts";

/** RUN: a process in the stage's tree, whose changes become a layer. */
export function runStep(step: Step, instruction: RunInstruction): Promise<StageState> {
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

  return cachedStep(step, containerConfig, config, async () => {
    const containerId = newId();
    text.write(` ---> Running in ${containerId.slice(0, 12)}\n`);
    const { run } = build;
    const staged = await run.stage(state.layer);
    const { exitCode } = await run.slots.run(run.signal, () =>
      run.engine.containers.runStep(
        {
          id: containerId,
          config: {
            Cmd: words,
            // As Docker: not the image's entrypoint, and no health check.
            Entrypoint: [],
            Env: [...(config.Env ?? []), ...values.map((one) => one.text)],
            User: config.User ?? "",
            WorkingDir: config.WorkingDir ?? "",
            Labels: config.Labels ?? {},
            AttachStdout: true,
            AttachStderr: true,
          },
          hostConfig: build.request.hostConfig,
          root: { mount: (target) => staged.mount(target), unmount: () => staged.unmount() },
          extraMounts: [],
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
  });
}
