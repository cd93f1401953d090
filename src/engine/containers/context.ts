import type { Log } from "../../base/log.ts";
import type { Exit, Keeper, RuntimeChoice } from "../../keeper/keeper.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { ChildPool } from "../../store/child/pool.ts";
import type { LayerDriver } from "../../store/layers.ts";
import type { Roots } from "../../store/roots.ts";
import type { Events } from "../events/events.ts";
import type { Images } from "../images/images.ts";
import type { LogConfig } from "../logs/log-options.ts";
import type { Endpoint, Networks } from "../networks/networks.ts";
import type { Volumes } from "../volumes/volumes.ts";
import type { ContainerSet } from "./container-set.ts";
import type { Container } from "./container.ts";
import type { ExecSet } from "./exec-set.ts";
import type { Waiters } from "./waiters.ts";

/** What the container verbs work with. Made once by `open.ts`; passed first to every verb. */
export interface ContainerContext {
  roots: Roots;
  log: Log;
  settings: ContainerSettings;
  host: HostFacts;
  set: ContainerSet;
  execs: ExecSet;
  waiters: Waiters;
  /** Build steps that run, by id: how to tell them their end. */
  steps: Map<string, (exit: Exit) => void>;
  keeper: Keeper;
  layers: LayerDriver;
  /** For work on strangers' data. */
  children: ChildPool;
  images: Images;
  networks: Networks;
  volumes: Volumes;
  events: Events;
  /** As `docker version` has it; images made here tell it. */
  serverVersion: string;
}

/** The daemon's configuration, as far as containers feel it. */
export interface ContainerSettings {
  /** By name; always holds `defaultRuntime`. */
  runtimes: ReadonlyMap<string, RuntimeChoice>;
  defaultRuntime: string;
  /** Parent of all containers' cgroups unless a container names another; of this daemon alone. */
  cgroupParent: string;
  defaults: ContainerDefaults;
  logs: LogConfig;
  dns: { servers: readonly string[]; options: readonly string[]; search: readonly string[] };
  /** Path of an init program (tini, catatonit) for `--init`; undefined where the host has none. */
  initPath: string | undefined;
}

/** What a container gets that asks for nothing else; read by `bin/daemon-config`. */
export interface ContainerDefaults {
  ulimits: readonly { name: string; soft: number; hard: number }[];
  init: boolean;
  shmSizeBytes: number;
  ipcMode: "private" | "shareable";
  /** Undefined: by the cgroup version. */
  cgroupnsMode: "host" | "private" | undefined;
  noNewPrivileges: boolean;
  seccompProfile: { kind: "builtin" } | { kind: "unconfined" } | { kind: "custom"; json: string };
}

/** The attributes of a container's events: Docker's `image` and `name` beside the container's labels. */
export function publishContainerEvent(
  context: ContainerContext,
  container: Container,
  action: string,
  attributes: Record<string, string> = {},
): void {
  context.events.publish({
    type: "container",
    action,
    actor: {
      id: container.id,
      attributes: { ...Object.fromEntries(container.config.Labels), ...attributes, image: container.config.Image, name: container.name },
    },
  });
}

/** Publishes that a container has its volumes, or had them. */
export function publishVolumeEvents({ events }: ContainerContext, { id, mounts }: Container, action: "mount" | "unmount"): void {
  for (const { type, name, driver, destination, propagation, readOnly } of mounts) {
    if (type !== "volume") continue;
    const how = action === "mount" ? { destination, propagation, "read/write": String(!readOnly) } : {};
    events.publish({ type: "volume", action, actor: { id: name, attributes: { container: id, driver, ...how } } });
  }
}

/** Publishes that a container has joined or left a network. */
export function publishNetworkEvent(
  context: ContainerContext,
  container: Container,
  endpoint: Endpoint,
  action: "connect" | "disconnect",
): void {
  context.events.publish({
    type: "network",
    action,
    actor: {
      id: endpoint.networkId,
      attributes: { container: container.id, name: endpoint.networkName, type: context.networks.inspect(endpoint.networkId).Driver },
    },
  });
}
