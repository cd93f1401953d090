import { EngineError } from "../../base/errors.ts";
import type { ContainerSpec, RuntimeChoice } from "../../keeper/keeper.ts";
import { paths } from "../../store/roots.ts";
import { logDestination } from "../logs/log-options.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";

/** What the keeper must know to make and keep a container's process. */
export function keeperSpecOf(context: ContainerContext, container: Container, cgroupsPath: string): ContainerSpec {
  const { config, hostConfig } = container;
  const [rows, columns] = hostConfig.ConsoleSize ?? [];
  return {
    id: container.id,
    bundlePath: paths.bundle(context.roots, container.id),
    runtime: runtimeOf(context, container),
    tty: config.Tty,
    openStdin: config.OpenStdin,
    stdinOnce: config.StdinOnce,
    consoleSize: rows && columns ? { rows, columns } : undefined,
    log: logDestination(
      { type: hostConfig.LogConfig.Type, options: hostConfig.LogConfig.Config },
      paths.containerLog(context.roots, container.id),
      {
        id: container.id,
        name: container.name,
        imageId: container.imageId,
        imageName: config.Image,
        labels: config.Labels,
        env: config.Env ?? [],
      },
    ),
    cgroupsPath,
    exitPath: paths.containerExit(context.roots, container.id),
    volatile: hostConfig.AutoRemove,
  };
}

export function runtimeOf(context: ContainerContext, container: Container): RuntimeChoice {
  const name = container.hostConfig.Runtime || context.settings.defaultRuntime;
  const runtime = context.settings.runtimes.get(name);
  if (runtime === undefined) throw new EngineError("invalid", `unknown or invalid runtime name: ${name}`);
  return runtime;
}
