import { childImageJson } from "../../images/child-image.ts";
import type { ContainerDefaults, HistoryEntry } from "../../images/image-config.ts";
import type { StageState } from "./stage-state.ts";

/** What a step adds to the image it works on. */
export interface StepFacts {
  /** The config of the step's container: what the cache compares, and what history shows of its Cmd. */
  containerConfig: ContainerDefaults;
  /** Of a step that has, or is said to have, a container. */
  containerId: string | undefined;
  /** Undefined: the step leaves the files alone. */
  diffId: string | undefined;
  created: string;
  /** Of the builder, as `docker version` has it. */
  serverVersion: string;
}

/** The config of the image that a step makes, byte for byte as Docker's builder writes it. */
export function stepImageJson(state: StageState, step: StepFacts): { bytes: Buffer; history: HistoryEntry[] } {
  return childImageJson(state, {
    author: state.author,
    comment: "",
    created: step.created,
    createdBy: (step.containerConfig.Cmd ?? []).join(" "),
    config: configMembers(state.config, state.imageId),
    containerConfig: configMembers(step.containerConfig, state.imageId),
    containerId: step.containerId,
    diffId: step.diffId,
    serverVersion: step.serverVersion,
  });
}

/** All members of Go's container.Config, in its order; those of a zero value that Go leaves out are left out. */
export function configMembers(config: ContainerDefaults, image: string): Record<string, unknown> {
  const given = (name: keyof ContainerDefaults): Record<string, unknown> => {
    const value = config[name];
    return value === undefined || value === null || value === "" || value === false ? {} : { [name]: value };
  };
  return {
    Hostname: config.Hostname ?? "",
    Domainname: config.Domainname ?? "",
    User: config.User ?? "",
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(config.ExposedPorts === undefined ? {} : { ExposedPorts: sorted(config.ExposedPorts) }),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    ...given("Healthcheck"),
    ...given("ArgsEscaped"),
    Image: image,
    Volumes: config.Volumes === undefined || config.Volumes === null ? null : sorted(config.Volumes),
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels === undefined || config.Labels === null ? null : sorted(config.Labels),
    ...given("StopSignal"),
    ...given("StopTimeout"),
    ...given("Shell"),
  };
}

function sorted<T>(map: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
