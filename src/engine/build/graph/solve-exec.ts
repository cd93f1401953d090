import { StepFailedError } from "../builds.ts";
import type { BuildRun, NewLayer } from "./build-run.ts";
import type { ExecOperation, Snapshot } from "./operation.ts";

/** Runs the process in a layer of its own, by the start path of containers. Throws StepFailedError when it ends with another status than 0. */
export async function solveExec(run: BuildRun, operation: ExecOperation, base: Snapshot): Promise<NewLayer> {
  const { words, env, uncountedEnv, user, workingDir, labels, hostConfig, mounts, containerId, onOutput } = operation;
  await using stack = new AsyncDisposableStack();
  const prepared = await mounts.prepare(stack);
  const staged = await run.stage(base.layer);
  const { exitCode } = await run.engine.containers.runStep(
    {
      id: containerId,
      config: {
        Cmd: words,
        // As in Docker: not the image's entrypoint.
        Entrypoint: [],
        Env: [...env, ...uncountedEnv, ...prepared.env],
        User: user,
        WorkingDir: workingDir,
        Labels: labels,
        AttachStdout: true,
        AttachStderr: true,
      },
      hostConfig,
      root: {
        mount: (target) => staged.mount(target, { mountPoints: true, further: prepared.places }),
        unmount: () => staged.unmount(),
      },
      extraMounts: prepared.mounts,
      onOutput,
    },
    run.signal,
  );
  if (exitCode !== 0) throw new StepFailedError(`The command '${words.join(" ")}' returned a non-zero code: ${exitCode}`, exitCode);
  return { staged, content: await staged.finish(run.signal) };
}
