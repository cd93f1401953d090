import { formatMemory } from "./units.ts";

/** `GET /info` for people, in Docker's words and order: scripts look for these lines. */

type Pairs = readonly (readonly string[])[] | null;
type Names = readonly string[] | null;

/** What we read of it. */
export type Info = {
  readonly ID: string;
  readonly Containers: number;
  readonly ContainersRunning: number;
  readonly ContainersPaused: number;
  readonly ContainersStopped: number;
  readonly Images: number;
  readonly ServerVersion: string;
  readonly Driver: string;
  readonly DriverStatus: Pairs;
  readonly SystemStatus?: Pairs;
  readonly LoggingDriver: string;
  readonly CgroupDriver: string;
  readonly CgroupVersion?: string;
  readonly Plugins: { readonly Volume: Names; readonly Network: Names; readonly Authorization: Names; readonly Log: Names };
  readonly CDISpecDirs?: Names;
  readonly Swarm: { readonly LocalNodeState: string };
  readonly Runtimes: Readonly<Record<string, unknown>> | null;
  readonly DefaultRuntime: string;
  readonly InitBinary: string;
  readonly ContainerdCommit: { readonly ID: string };
  readonly RuncCommit: { readonly ID: string };
  readonly InitCommit: { readonly ID: string };
  readonly SecurityOptions: Names;
  readonly KernelVersion: string;
  readonly OperatingSystem: string;
  readonly OSType: string;
  readonly Architecture: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly Name: string;
  readonly DockerRootDir: string;
  readonly Debug: boolean;
  readonly NFd: number;
  readonly NGoroutines: number;
  readonly SystemTime: string;
  readonly NEventsListener: number;
  readonly HttpProxy: string;
  readonly HttpsProxy: string;
  readonly NoProxy: string;
  readonly Labels: Names;
  readonly ExperimentalBuild: boolean;
  readonly RegistryConfig: {
    readonly InsecureRegistryCIDRs: Names;
    readonly IndexConfigs: Readonly<Record<string, { readonly Name: string; readonly Secure: boolean }>> | null;
    readonly Mirrors: Names;
  } | null;
  readonly LiveRestoreEnabled: boolean;
  readonly ProductLicense?: string;
  readonly DefaultAddressPools?: readonly { readonly Base: string; readonly Size: number }[] | null;
  readonly FirewallBackend?: { readonly Driver: string; readonly Info?: Pairs } | null;
  readonly Warnings: Names;
};

export function infoText(info: Info, { user, debug }: { user: string; debug: boolean }): string {
  const out: string[] = [];
  const line = (text: string): void => void out.push(`${text}\n`);
  const known = (label: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") line(` ${label}: ${value}`);
  };
  const block = (label: string, values: readonly string[]): void => {
    if (values.length > 0) line([` ${label}:`, ...values.map((value) => `  ${value}`)].join("\n"));
  };
  const pairs = (indent: string, all: Pairs | undefined): void => {
    for (const [key = "", value = ""] of all ?? []) line(`${indent}${key}: ${value}`);
  };
  const words = (names: Names): string => (names ?? []).join(" ");

  line(` Containers: ${info.Containers}`);
  line(`  Running: ${info.ContainersRunning}`);
  line(`  Paused: ${info.ContainersPaused}`);
  line(`  Stopped: ${info.ContainersStopped}`);
  line(` Images: ${info.Images}`);
  known("Server Version", info.ServerVersion);
  known("Storage Driver", info.Driver);
  pairs("  ", info.DriverStatus);
  pairs(" ", info.SystemStatus);
  known("Logging Driver", info.LoggingDriver);
  known("Cgroup Driver", info.CgroupDriver);
  known("Cgroup Version", info.CgroupVersion);
  line(" Plugins:");
  line(`  Volume: ${words(info.Plugins.Volume)}`);
  line(`  Network: ${words(info.Plugins.Network)}`);
  if (words(info.Plugins.Authorization) !== "") line(`  Authorization: ${words(info.Plugins.Authorization)}`);
  line(`  Log: ${words(info.Plugins.Log)}`);
  block("CDI spec directories", info.CDISpecDirs ?? []);
  line(` Swarm: ${info.Swarm.LocalNodeState}`);
  const runtimes = Object.keys(info.Runtimes ?? {}).sort();
  if (runtimes.length > 0) {
    line(` Runtimes: ${runtimes.join(" ")}`);
    line(` Default Runtime: ${info.DefaultRuntime}`);
  }
  if (info.OSType === "linux") {
    line(` Init Binary: ${info.InitBinary}`);
    line(` containerd version: ${info.ContainerdCommit.ID}`);
    line(` runc version: ${info.RuncCommit.ID}`);
    line(` init version: ${info.InitCommit.ID}`);
    block("Security Options", (info.SecurityOptions ?? []).flatMap(securityLines));
  }
  known("Kernel Version", info.KernelVersion);
  known("Operating System", info.OperatingSystem);
  known("OSType", info.OSType);
  known("Architecture", info.Architecture);
  line(` CPUs: ${info.NCPU}`);
  line(` Total Memory: ${formatMemory(info.MemTotal)}`);
  known("Name", info.Name);
  known("ID", info.ID);
  line(` Docker Root Dir: ${info.DockerRootDir}`);
  line(` Debug Mode: ${info.Debug}`);
  if (info.Debug || debug) {
    line(`  File Descriptors: ${info.NFd}`);
    line(`  Goroutines: ${info.NGoroutines}`);
    line(`  System Time: ${info.SystemTime}`);
    line(`  EventsListeners: ${info.NEventsListener}`);
  }
  known("HTTP Proxy", info.HttpProxy);
  known("HTTPS Proxy", info.HttpsProxy);
  known("No Proxy", info.NoProxy);
  known("Username", user);
  block("Labels", info.Labels ?? []);
  line(` Experimental: ${info.ExperimentalBuild}`);
  const indexes = Object.values(info.RegistryConfig?.IndexConfigs ?? {});
  const insecureRanges = info.RegistryConfig?.InsecureRegistryCIDRs ?? [];
  if (indexes.length > 0 || insecureRanges.length > 0) {
    const insecure = indexes.filter(({ Secure }) => !Secure).map(({ Name }) => Name);
    line([" Insecure Registries:", ...[...insecure, ...insecureRanges].map((each) => `  ${each}`)].join("\n"));
  }
  block("Registry Mirrors", info.RegistryConfig?.Mirrors ?? []);
  line(` Live Restore Enabled: ${info.LiveRestoreEnabled}`);
  known("Product License", info.ProductLicense);
  block(
    "Default Address Pools",
    (info.DefaultAddressPools ?? []).map(({ Base, Size }) => ` Base: ${Base}, Size: ${Size}`),
  );
  if (info.FirewallBackend) {
    line(` Firewall Backend: ${info.FirewallBackend.Driver}`);
    pairs("  ", info.FirewallBackend.Info);
  }
  line("");
  return out.join("");
}

/** `name=seccomp,profile=builtin`, or plain `seccomp` as old engines have it. */
function securityLines(option: string): string[] {
  const fields = option.split(",").map((field) => field.split("="));
  const name = fields.find(([key]) => key === "name")?.[1] ?? option;
  const profile = fields.find(([key]) => key === "profile")?.[1];
  return profile === undefined ? [name] : [name, ` Profile: ${profile}`];
}
