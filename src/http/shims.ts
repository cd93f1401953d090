import type { CreateBody, HostConfig } from "../api/container-config.ts";
import type { ApiVersion } from "../api/versions.ts";
import { EngineError } from "../base/errors.ts";

/**
 * What older clients send and expect (moby's route files, 28.2.2). The engine speaks the newest version only; requests are brought up to
 * it and answers down from it, here and nowhere else. Numbers are versions: 1044 is 1.44.
 */

type Json = Record<string, unknown>;

/** Brings the body of a create up to date, in place. Gives back warnings. */
export function adaptCreate(body: CreateBody, version: ApiVersion): string[] {
  const warnings: string[] = [];
  const host = body.HostConfig;
  if (host !== undefined) {
    if (version < 1025) host.AutoRemove = false;
    if (version < 1040 && host.IpcMode === "") host.IpcMode = "shareable";
    if (version < 1040) host.KernelMemoryTCP = 0;
    if (version < 1042) host.ConsoleSize = undefined;
    else host.KernelMemory = 0;
    if (version < 1043) host.Annotations = undefined;
    // Docker takes 0 and everything negative for "no limit".
    if (host.PidsLimit !== undefined && host.PidsLimit <= 0) host.PidsLimit = undefined;
    adaptMounts(host, version);
    const ignored = ignoredVolumeDriver(host, version);
    if (ignored !== undefined) warnings.push(ignored);
  }
  if (version < 1044 && body.Healthcheck !== undefined) body.Healthcheck.StartInterval = 0;
  adaptEndpoints(body, version);
  return [...warnings, ...adaptMacAddress(body, version)];
}

function adaptMounts(host: HostConfig, version: ApiVersion): void {
  for (const mount of host.Mounts ?? []) {
    const { BindOptions: bind, VolumeOptions: volume, TmpfsOptions: tmpfs, Type: type } = mount;
    if (version < 1040 && bind !== undefined) bind.NonRecursive = false;
    if (version < 1042) {
      if (bind !== undefined) bind.CreateMountpoint = false;
      if (type !== "volume") mount.VolumeOptions = undefined;
      if (type !== "tmpfs") mount.TmpfsOptions = undefined;
    } else {
      const misplaced =
        volume !== undefined && type !== "volume"
          ? "VolumeOptions"
          : bind !== undefined && type !== "bind"
            ? "BindOptions"
            : tmpfs !== undefined && type !== "tmpfs"
              ? "TmpfsOptions"
              : undefined;
      if (misplaced !== undefined)
        throw new EngineError("invalid", `${misplaced} must not be specified on mount type ${JSON.stringify(type)}`);
    }
    if (version < 1044 && type === "bind" && bind?.ReadOnlyForceRecursive === true)
      throw needs("BindOptions.ReadOnlyForceRecursive", "1.44");
    // Before 1.44 only the mount itself was read-only, not what is mounted below.
    if (version < 1044 && type === "bind" && mount.ReadOnly) mount.BindOptions = { ...noBindOptions, ...bind, ReadOnlyNonRecursive: true };
    if (version < 1045 && (volume?.Subpath ?? "") !== "") throw needs("VolumeOptions.Subpath", "1.45");
    if (version < 1048 && type === "image") throw needs('Mount type "Image"', "1.48");
  }
}

const noBindOptions = {
  Propagation: "",
  NonRecursive: false,
  CreateMountpoint: false,
  ReadOnlyNonRecursive: false,
  ReadOnlyForceRecursive: false,
};

function needs(what: string, version: string): EngineError {
  return new EngineError("invalid", `${what} needs API v${version} or newer`);
}

function ignoredVolumeDriver(host: HostConfig, version: ApiVersion): string | undefined {
  if (host.VolumeDriver === "" || version < 1048) return undefined;
  const isIgnored = (host.Mounts ?? []).some(({ Type, VolumeOptions }) => Type === "volume" && !VolumeOptions?.DriverConfig?.Name);
  if (!isIgnored) return undefined;
  const advice = "Use '--mount type=volume,volume-driver=...' instead";
  return `WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. ${advice}`;
}

function adaptEndpoints(body: CreateBody, version: ApiVersion): void {
  const endpoints = body.NetworkingConfig?.EndpointsConfig ?? new Map<string, undefined>();
  if (version < 1044 && endpoints.size > 1)
    throw new EngineError("invalid", `Container cannot be created with multiple network endpoints: ${[...endpoints.keys()].join(", ")}`);
  for (const endpoint of endpoints.values()) if (version < 1048 && endpoint !== undefined) endpoint.GwPriority = 0;
}

/** Before 1.44 the container had a MAC address; since then each endpoint has. */
function adaptMacAddress(body: CreateBody, version: ApiVersion): string[] {
  const endpoints = body.NetworkingConfig?.EndpointsConfig;
  if (version < 1044) {
    // An old daemon would not have looked at it.
    for (const endpoint of endpoints?.values() ?? []) if (endpoint !== undefined) endpoint.MacAddress = "";
    return [];
  }
  if (body.MacAddress === "") return [];
  const main = endpoints?.get(body.HostConfig?.NetworkMode || "default");
  if (main !== undefined && main.MacAddress !== "" && main.MacAddress !== body.MacAddress) {
    const rule = "must match the endpoint-specific MAC address for the main network, or be left empty";
    throw new EngineError("invalid", `the container-wide MAC address ${rule}`);
  }
  return ["The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."];
}

/** An item of `GET /containers/json`. */
export function adaptContainerSummary(container: Json, version: ApiVersion): Json {
  const adapted = { ...container };
  if (version < 1048) delete adapted["ImageManifestDescriptor"];
  if (version < 1046 && isObject(adapted["HostConfig"])) adapted["HostConfig"] = without(adapted["HostConfig"], "Annotations");
  return adapted;
}

const PREDEFINED_NETWORKS = new Set(["bridge", "host", "none", "default"]);

/** `GET /containers/{id}/json`. */
export function adaptContainer(container: Json, version: ApiVersion): Json {
  const adapted = { ...container };
  if (version < 1048) delete adapted["ImageManifestDescriptor"];
  if (version < 1045) addShortAliases(adapted);
  return adapted;
}

/** Until 1.44 the short id and the hostname were among the aliases on networks of the user's. */
function addShortAliases(container: Json): void {
  const { Id: id, Config: config, NetworkSettings: settings } = container;
  if (typeof id !== "string" || !isObject(config) || !isObject(settings) || !isObject(settings["Networks"])) return;
  const networks = Object.entries(settings["Networks"]).map(([name, endpoint]) => {
    if (PREDEFINED_NETWORKS.has(name) || !isObject(endpoint)) return [name, endpoint];
    const aliases = Array.isArray(endpoint["Aliases"]) ? endpoint["Aliases"] : [];
    return [name, { ...endpoint, Aliases: [...new Set([...aliases, id.slice(0, 12), config["Hostname"]])] }];
  });
  container["NetworkSettings"] = { ...settings, Networks: Object.fromEntries(networks) };
}

/** `GET /info`. */
export function adaptInfo(info: Json, version: ApiVersion): Json {
  const adapted = { ...info };
  if (version < 1025) adapted["SecurityOptions"] = namesOfSecurityOptions(info["SecurityOptions"]);
  if (version < 1044 && isObject(info["Runtimes"]))
    adapted["Runtimes"] = Object.fromEntries(
      Object.entries(info["Runtimes"]).map(([name, runtime]) => [name, isObject(runtime) ? without(runtime, "status") : runtime]),
    );
  if (version < 1046) delete adapted["Containerd"];
  if (version < 1049) {
    delete adapted["FirewallBackend"];
    for (const name of ["ContainerdCommit", "RuncCommit", "InitCommit"]) {
      const commit = info[name];
      if (isObject(commit)) adapted[name] = { ...commit, Expected: commit["ID"] };
    }
  }
  if (version < 1050) {
    delete adapted["DiscoveredDevices"];
    Object.assign(adapted, { BridgeNfIptables: false, BridgeNfIp6tables: false });
  }
  return adapted;
}

/** `name=seccomp,profile=builtin` → `seccomp`. */
function namesOfSecurityOptions(options: unknown): unknown {
  if (!Array.isArray(options)) return options;
  return options.map((option) => /(?:^|,)name=([^,]*)/.exec(String(option))?.[1] ?? option);
}

/** An item of `GET /images/json`. */
export function adaptImageSummary(image: Json, version: ApiVersion): Json {
  const adapted = { ...image };
  if (version < 1043 && isEmptyList(image["RepoTags"]) && isEmptyList(image["RepoDigests"])) {
    adapted["RepoTags"] = ["<none>:<none>"];
    adapted["RepoDigests"] = ["<none>@<none>"];
  }
  if (version < 1044) adapted["VirtualSize"] = image["Size"];
  return adapted;
}

/** Members of an image's config that a container's config also has; until 1.49 an image was shown with all of the latter's. */
const CONTAINER_CONFIG_DEFAULTS: Json = {
  Hostname: "",
  Domainname: "",
  User: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: "",
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** `GET /images/{name}/json`. */
export function adaptImage(image: Json, version: ApiVersion): Json {
  const adapted = { ...image };
  if (version < 1044) adapted["VirtualSize"] = image["Size"];
  if (version < 1044 && (image["Created"] ?? "") === "") adapted["Created"] = "0001-01-01T00:00:00Z";
  if (version < 1045) Object.assign(adapted, { Container: "", ContainerConfig: null });
  if (version < 1050 && isObject(image["Config"])) adapted["Config"] = { ...CONTAINER_CONFIG_DEFAULTS, ...image["Config"] };
  return adapted;
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function without(object: Json, name: string): Json {
  const { [name]: _, ...rest } = object;
  return rest;
}
