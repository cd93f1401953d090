import type { HostConfig } from "../../api/container-config.ts";
import { namespaceMode } from "./namespace-modes.ts";

/** `linux.namespaces` of the OCI runtime-spec: without a path a new one. What is not listed is shared with the host. */
export interface OciNamespace {
  type: "mount" | "network" | "uts" | "pid" | "ipc" | "cgroup" | "user" | "time";
  path?: string;
}

/** Paths of namespaces that exist already and are joined instead of making new ones. */
export interface JoinedNamespaces {
  /** That of the container's own network, or of the container whose network it shares. */
  network?: string | undefined;
  ipc?: string | undefined;
  pid?: string | undefined;
}

export function buildNamespaces(config: HostConfig, joined: JoinedNamespaces): OciNamespace[] {
  const namespaces: OciNamespace[] = [{ type: "mount" }];
  const add = (type: OciNamespace["type"], mode: string, path?: string): void => {
    if (namespaceMode(mode) !== "host") namespaces.push(path === undefined ? { type } : { type, path });
  };
  add("network", config.NetworkMode, joined.network);
  add("uts", config.UTSMode);
  add("pid", config.PidMode, joined.pid);
  add("ipc", config.IpcMode, joined.ipc);
  if (config.CgroupnsMode === "private") namespaces.push({ type: "cgroup" });
  return namespaces;
}
