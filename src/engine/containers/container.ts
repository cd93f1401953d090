import {
  containerConfig,
  hostConfig,
  networkingConfig,
  type ContainerConfig,
  type HostConfig,
  type NetworkingConfig,
} from "../../api/container-config.ts";
import type { Link } from "./links.ts";
import { encodeJson, parseJson } from "../../api/json.ts";

/**
 * A container, as the engine holds it in memory and, as JSON, in the table `containers`. The state is a union; what may be done in which
 * state is decided by the predicates below and nowhere else.
 */
export interface Container {
  readonly id: string;
  /** Without the leading slash. */
  name: string;
  readonly createdNs: bigint;
  /** `sha256:…`; empty for an image that is gone. */
  readonly imageId: string;
  /** Top layer of the image when the container was made; undefined for an image without layers. */
  readonly chainId: string | undefined;
  readonly platform: string;
  /** Image config and request merged: what runs. */
  readonly config: ContainerConfig;
  hostConfig: HostConfig;
  /** What it asks of its networks, by name; `connect` and `disconnect` change it. */
  networking: NetworkingConfig;
  /** Program and its arguments: entrypoint and command as one list. */
  readonly command: { path: string; args: string[] };
  readonly mounts: MountPoint[];
  /** On the default network. */
  links: Link[];
  state: ContainerState;
  restartCount: number;
  /** Was stopped or killed by hand: the restart policy holds still. */
  stoppedByUser: boolean;
  /** A restart is under way: its first half, a stop, must not set off --rm. Not kept: a restart ends with its daemon. */
  beingRestarted: boolean;
  /** Its removal takes its anonymous volumes along. */
  removesVolumes?: boolean | undefined;
}

/** A volume or bind of a container, as resolved when it was created (inspect's `Mounts`). */
export interface MountPoint {
  type: "bind" | "volume" | "tmpfs" | "image";
  /** Volume name. */
  name: string;
  source: string;
  destination: string;
  driver: string;
  mode: string;
  readOnly: boolean;
  propagation: string;
  /** Made for the container: it goes with `rm -v`. */
  isAnonymous?: boolean | undefined;
  /** Of a volume or image: what of it is shown. */
  subpath?: string | undefined;
  /** What the image has there is not copied into the volume. */
  noCopy?: boolean | undefined;
  /** Of a bind: what is mounted below the source is not shown. */
  isShallow?: boolean | undefined;
  /** Of an image mount: the image that its name meant when the container was made. */
  imageId?: string | undefined;
}

export type ContainerState =
  /** Never ran, or could not start: `exitCode` and `error` tell why. */
  | { status: "created"; exitCode: number; error: string }
  | { status: "running"; pid: number; startedAtNs: bigint; paused: boolean }
  /** Ended, and its restart policy starts it again after a delay. */
  | { status: "restarting"; ended: Ended; startedAtNs: bigint }
  | { status: "exited"; ended: Ended; startedAtNs: bigint }
  /** Its removal is under way. */
  | { status: "removing"; ended: Ended; startedAtNs: bigint }
  /** Its removal failed half-way; it can only be removed. */
  | { status: "dead"; ended: Ended; startedAtNs: bigint };

export interface Ended {
  exitCode: number;
  finishedAtNs: bigint;
  oomKilled: boolean;
  error: string;
}

/** Docker's word for a state (`paused` is a running one). */
export function statusOf(container: Container): "created" | "running" | "paused" | "restarting" | "exited" | "removing" | "dead" {
  return container.state.status === "running" && container.state.paused ? "paused" : container.state.status;
}

export function isRunning(container: Container): boolean {
  return container.state.status === "running";
}

/** The record for the table `containers`. */
export function encodeContainer(container: Container): string {
  const { beingRestarted: _, ...record } = container;
  return encodeJson(record);
}

/** A container back from its record. */
export function decodeContainer(text: string): Container {
  const raw = parseJson(text);
  // Written by encodeContainer of this or an earlier version; the parts that carry user input go through their decoders again.
  const record = raw as Omit<Container, "links"> & { createdNs: number | bigint; links?: Link[] };
  return {
    ...record,
    links: record.links ?? [],
    createdNs: ns(record.createdNs),
    config: containerConfig.decode(record.config, ""),
    hostConfig: hostConfig.decode(record.hostConfig, ""),
    networking: networkingConfig.decode(record.networking, ""),
    state: decodeState(record.state),
    beingRestarted: false,
  };
}

function decodeState(state: ContainerState): ContainerState {
  switch (state.status) {
    case "created":
      return state;
    case "running":
      return { ...state, startedAtNs: ns(state.startedAtNs) };
    case "restarting":
    case "exited":
    case "removing":
    case "dead":
      return {
        ...state,
        startedAtNs: ns(state.startedAtNs),
        ended: { ...state.ended, finishedAtNs: ns(state.ended.finishedAtNs) },
      };
  }
}

/** A time from JSON: a bigint only when it was too large for a number. */
function ns(value: number | bigint): bigint {
  return BigInt(value);
}
