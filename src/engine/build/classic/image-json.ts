import { encodeJson } from "../../../api/json.ts";
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

/**
 * The config of the image that a step makes, byte for byte as Docker's builder writes it (moby image/image.go, NewChildImage): top members
 * in alphabetical order, those of the configs in that of Go's struct, `<`, `>` and `&` escaped.
 */
export function stepImageJson(state: StageState, step: StepFacts): { bytes: Buffer; history: HistoryEntry[] } {
  const entry: HistoryEntry = {
    created: step.created,
    ...(state.author === "" ? {} : { author: state.author }),
    created_by: (step.containerConfig.Cmd ?? []).join(" "),
    ...(step.diffId === undefined ? { empty_layer: true } : {}),
  };
  const history = [...state.history, entry];
  const members = {
    architecture: state.architecture,
    ...(state.author === "" ? {} : { author: state.author }),
    config: configMembers(state.config, state.imageId),
    ...(step.containerId === undefined ? {} : { container: step.containerId }),
    container_config: configMembers(step.containerConfig, state.imageId),
    created: step.created,
    docker_version: step.serverVersion,
    history,
    os: state.os,
    rootfs: {
      type: "layers",
      ...(state.diffIds.length + (step.diffId === undefined ? 0 : 1) === 0
        ? {}
        : { diff_ids: [...state.diffIds, ...(step.diffId === undefined ? [] : [step.diffId])] }),
    },
    ...(state.variant === undefined ? {} : { variant: state.variant }),
  };
  return { bytes: Buffer.from(escapeHtml(encodeJson(members))), history };
}

/** As Go's encoder does unless told otherwise. */
function escapeHtml(json: string): string {
  return json.replaceAll(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
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
