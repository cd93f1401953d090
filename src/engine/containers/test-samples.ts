import { containerConfig, createBody, hostConfig, networkingConfig, type CreateBody } from "../../api/container-config.ts";
import type { LimitSupport } from "../../kernel/cgroup-layout.ts";
import { CAPABILITIES, UNPRIVILEGED_NETWORK_SYSCTLS, type HostFacts } from "../../kernel/host.ts";
import type { Container } from "./container.ts";
import type { ContainerDefaults } from "./context.ts";

/** What the tests of this folder begin with: a host that can do everything, and a container that asks for nothing. */

export const SAMPLE_ID = "ac37648ee8165fb77963ec25f1a5702fa435ca78248a99186eca59bdb77cb6e6";

export function sampleHost(different: Partial<HostFacts> = {}): HostFacts {
  return {
    hostname: "host",
    architecture: "amd64",
    kernelRelease: "6.1.0",
    kernel: { major: 6, minor: 1 },
    operatingSystem: "Debian GNU/Linux 12 (bookworm)",
    cpuCount: 2,
    memoryTotalBytes: 8 * 1024 ** 3,
    cgroups: { mode: "v1", v1: new Map([["pids", "/sys/fs/cgroup/pids"]]), unified: undefined },
    limits: sampleLimits(),
    capabilities: new Set(CAPABILITIES),
    seccomp: true,
    appArmor: undefined,
    seLinux: false,
    cgroupNamespaces: true,
    thermalThrottlePaths: [],
    sysctls: new Set(UNPRIVILEGED_NETWORK_SYSCTLS.keys()),
    openFilesHardLimit: 1_048_576,
    oomScoreAdj: 0,
    ...different,
  };
}

export function sampleLimits(different: Partial<LimitSupport> = {}): LimitSupport {
  return {
    memory: true,
    memorySwap: true,
    memoryReservation: true,
    memorySwappiness: true,
    kernelMemory: true,
    oomKillDisable: true,
    pids: true,
    cpuShares: true,
    cpuQuota: true,
    cpuset: true,
    blockWeight: true,
    blockWeightDevice: true,
    blockReadBytes: true,
    blockWriteBytes: true,
    blockReadOperations: true,
    blockWriteOperations: true,
    cpus: "0-1",
    memoryNodes: "0",
    ...different,
  };
}

export const SAMPLE_DEFAULTS: ContainerDefaults = {
  ulimits: [],
  init: false,
  shmSizeBytes: 64 * 1024 * 1024,
  ipcMode: "private",
  cgroupnsMode: undefined,
  noNewPrivileges: false,
  seccompProfile: { kind: "builtin" },
};

/** A create body as a client writes it. */
export function sampleBody(body: Record<string, unknown>): CreateBody {
  return createBody.decode(body, "");
}

/** A container as create leaves it; `config` and `host` are as a client writes them. */
export function sampleContainer(
  asked: { config?: Record<string, unknown>; host?: Record<string, unknown> } = {},
  different: Partial<Container> = {},
): Container {
  const config = containerConfig.decode({ Hostname: SAMPLE_ID.slice(0, 12), Cmd: ["sleep", "1000"], Image: "bb", ...asked.config }, "");
  const settings = { NetworkMode: "bridge", IpcMode: "private", CgroupnsMode: "host", ShmSize: 67_108_864, ...asked.host };
  const [path = "", ...args] = config.Cmd ?? [];
  return {
    id: SAMPLE_ID,
    name: "sample",
    createdNs: 1_795_507_298_979_567_859n,
    imageId: `sha256:${"3b".repeat(32)}`,
    chainId: undefined,
    platform: "linux",
    config,
    hostConfig: hostConfig.decode(settings, ""),
    networking: networkingConfig.decode({ EndpointsConfig: { [settings.NetworkMode]: {} } }, ""),
    command: { path, args },
    mounts: [],
    links: [],
    state: { status: "created", exitCode: 0, error: "" },
    restartCount: 0,
    stoppedByUser: false,
    beingRestarted: false,
    ...different,
  };
}

/** What an endpoint has beside its addresses. */
export const SAMPLE_ENDPOINT = {
  ipv6Address: "",
  ipv6PrefixLength: 0,
  ipv6Gateway: "",
  containerLink: "eth0",
  gatewayPriority: 0,
  isGateway: true,
  dnsNames: [],
  links: [],
  linkedPorts: [],
};
