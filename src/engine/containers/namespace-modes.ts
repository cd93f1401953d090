/**
 * How `NetworkMode`, `IpcMode`, `PidMode`, `UTSMode`, `UsernsMode` and `CgroupnsMode` name a namespace: the host's, another container's
 * (`container:ID`), or the container's own under whatever word.
 */

/** Whose namespace a mode asks for. */
export function namespaceMode(mode: string): "host" | "container" | "own" {
  if (mode === "host") return "host";
  return sharedContainer(mode) === undefined ? "own" : "container";
}

/** The container that `container:x` names. */
export function sharedContainer(mode: string): string | undefined {
  return mode.startsWith("container:") ? mode.slice("container:".length) : undefined;
}

export function isValidIpcMode(mode: string): boolean {
  return ["", "none", "private", "shareable", "host"].includes(mode) || sharedContainer(mode) !== undefined;
}

export function isValidPidMode(mode: string): boolean {
  return mode === "" || mode === "host" || (sharedContainer(mode) ?? "") !== "";
}

export function isValidUtsMode(mode: string): boolean {
  return mode === "" || mode === "host";
}

export function isValidCgroupNamespaceMode(mode: string): boolean {
  return mode === "" || mode === "host" || mode === "private";
}

export function isValidUserNamespaceMode(mode: string): boolean {
  return mode === "" || mode === "host";
}
