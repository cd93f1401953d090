import { expect, test } from "vitest";

import { EngineError } from "../../base/errors.ts";
import type { HostFacts } from "../../kernel/host.ts";
import type { ContainerDefaults as ImageDefaults } from "../images/image-config.ts";
import type { Image } from "../images/images.ts";
import { checkCreate, type CheckedCreate } from "./create-checks.ts";
import { sampleBody, sampleHost, sampleLimits, SAMPLE_DEFAULTS, SAMPLE_ID } from "./test-samples.ts";

function imageOf(config: ImageDefaults): Image {
  return {
    id: `sha256:${"3b".repeat(32)}`,
    tags: ["bb:latest"],
    digests: [],
    config: { architecture: "amd64", os: "linux", config, rootfs: { type: "layers", diff_ids: [] } },
    parent: undefined,
    manifests: [],
    chainId: undefined,
    sizeBytes: 0,
    createdNs: 0n,
    lastTaggedNs: 0n,
  };
}

async function check(body: Record<string, unknown>, host: HostFacts = sampleHost(), image: ImageDefaults = {}): Promise<CheckedCreate> {
  return checkCreate({
    body: sampleBody(body),
    findImage: () => {
      if (body["Image"] === "nosuch") throw new EngineError("notFound", "No such image: nosuch:latest");
      return imageOf(image);
    },
    host,
    settings: {
      runtimes: new Map([["crun", {}]]),
      defaultRuntime: "crun",
      logs: { type: "json-file", options: new Map() },
      defaults: SAMPLE_DEFAULTS,
    },
    containers: { find: (name) => (name === "other" || name === SAMPLE_ID ? { id: SAMPLE_ID, mounts: [] } : undefined) },
    dataRoot: "/var/lib/tsubo",
  });
}

const withHost = (host: Record<string, unknown>, config: Record<string, unknown> = {}): Record<string, unknown> => ({
  Image: "bb",
  Cmd: ["true"],
  ...config,
  HostConfig: host,
});

const withConfig = (config: Record<string, unknown>): Record<string, unknown> => withHost({}, config);

/** Bodies that Docker answers with 400, and its words (28.2; where dockerd 20.10 differs, 28 wins). */
const REFUSED: [Record<string, unknown>, string][] = [
  [{}, "config cannot be empty in order to create a container"],
  [{ Image: "bb" }, "no command specified"],
  [withHost({ Memory: 1 }), "Minimum memory limit allowed is 6MB"],
  [withHost({ MemorySwap: 100_000_000 }), "You should always set the Memory limit when using Memoryswap limit, see usage"],
  [withHost({ Memory: 1e8, MemorySwap: 5e7 }), "Minimum memoryswap limit should be larger than memory limit, see usage"],
  [withHost({ MemoryReservation: 5 }), "Minimum memory reservation allowed is 6MB"],
  [withHost({ Memory: 1e7, MemoryReservation: 2e7 }), "Minimum memory limit can not be less than memory reservation limit, see usage"],
  [withHost({ MemorySwappiness: 101 }), "Invalid value: 101, valid memory swappiness range is 0-100"],
  [withHost({ NanoCpus: 9e9 }), "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"],
  [withHost({ NanoCpus: -1 }), "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"],
  [withHost({ NanoCpus: 1e9, CpuPeriod: 100_000 }), "Conflicting options: Nano CPUs and CPU Period cannot both be set"],
  [withHost({ CpuPeriod: 1 }), "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"],
  [withHost({ CpuQuota: 1 }), "CPU cfs quota can not be less than 1ms (i.e. 1000)"],
  [withHost({ CpuShares: -1 }), "invalid CPU shares (-1): value must be a positive integer"],
  [withHost({ CpusetCpus: "0-999" }), "Requested CPUs are not available - requested 0-999, available: 0-1"],
  [withHost({ CpusetCpus: "x" }), "Invalid value x for cpuset cpus: invalid format: x"],
  [withHost({ CpusetMems: "5" }), "Requested memory nodes are not available - requested 5, available: 0"],
  [withHost({ OomScoreAdj: 1001 }), "Invalid value 1001, range for oom score adj is [-1000, 1000]"],
  [withHost({ BlkioWeight: 5 }), "Range of blkio weight is from 10 to 1000"],
  [withHost({ ShmSize: -1 }), "SHM size can not be less than 0"],
  [withHost({ IpcMode: "x" }), "invalid IPC mode: x"],
  [withHost({ PidMode: "x" }), "invalid PID mode: x"],
  [withHost({ PidMode: "container:" }), "invalid PID mode: container:"],
  [withHost({ UTSMode: "x" }), "invalid UTS mode: x"],
  [withHost({ CgroupnsMode: "x" }), "invalid cgroup namespace mode: x"],
  [withHost({ IpcMode: "container:nosuch" }), "No such container: nosuch"],
  [withConfig({ Hostname: "x".repeat(65) }), `hostname "${"x".repeat(65)}" is too long (maximum 64 bytes)`],
  [withConfig({ Env: ["=foo"] }), "invalid environment variable: =foo"],
  [withConfig({ Env: [""] }), "invalid environment variable: "],
  [withConfig({ Env: ["A=\0"] }), 'invalid value "A=\\u0000": it contains a NUL byte'],
  [withConfig({ WorkingDir: "rel" }), "the working directory 'rel' is invalid, it needs to be an absolute path"],
  [withConfig({ Healthcheck: { Interval: 5 } }), "Interval in Healthcheck cannot be less than 1ms"],
  [withConfig({ Healthcheck: { Retries: -1 } }), "Retries in Healthcheck cannot be negative"],
  [withConfig({ StopSignal: "FOO" }), "invalid signal: FOO"],
  [withHost({ PortBindings: { "x/tcp": [{}] } }), 'invalid port specification: "x"'],
  [withHost({ PortBindings: { "80/tcp": [{ HostPort: "x" }] } }), 'invalid port specification: "x"'],
  [withHost({ PortBindings: { "80/tcp": [{ HostIp: "1.2.3" }] } }), "invalid IP address: 1.2.3"],
  [
    withHost({ RestartPolicy: { Name: "x" } }),
    "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
  ],
  [
    withHost({ RestartPolicy: { Name: "always", MaximumRetryCount: 3 } }),
    "invalid restart policy: maximum retry count can only be used with 'on-failure'",
  ],
  [
    withHost({ RestartPolicy: { Name: "on-failure", MaximumRetryCount: -3 } }),
    "invalid restart policy: maximum retry count cannot be negative",
  ],
  [withHost({ AutoRemove: true, RestartPolicy: { Name: "always" } }), "can't create 'AutoRemove' container with restart policy"],
  [withHost({ SecurityOpt: ["x"] }), 'invalid --security-opt 1: "x"'],
  [withHost({ SecurityOpt: ["x=y"] }), 'invalid --security-opt 2: "x=y"'],
  [withHost({ SecurityOpt: ["no-new-privileges=maybe"] }), 'invalid --security-opt 2: "no-new-privileges=maybe"'],
  [withHost({ Runtime: "nope" }), "unknown or invalid runtime name: nope"],
  [withHost({ CapAdd: ["x"] }), 'invalid CapAdd: unknown capability: "CAP_X"'],
  [withHost({ CapDrop: ["x"] }), 'invalid CapDrop: unknown capability: "CAP_X"'],
  [withHost({ Ulimits: [{ Name: "foo", Soft: 1, Hard: 1 }] }), "invalid ulimit type: foo"],
  [withHost({ Ulimits: [{ Name: "nofile", Soft: 10, Hard: 1 }] }), "ulimit soft limit must be less than or equal to hard limit: 10 > 1"],
  [withHost({ DeviceCgroupRules: ["zz"] }), "invalid device cgroup rule format: 'zz'"],
  [withHost({ ExtraHosts: ["x"] }), 'bad format for add-host: "x"'],
  [withHost({ ExtraHosts: ["x:y"] }), 'invalid IP address in add-host: "y"'],
  [withHost({ NetworkMode: "container:" }), "invalid network mode: invalid container format container:<name|id>"],
  [withHost({ NetworkMode: "container:other" }, { Hostname: "h" }), "conflicting options: hostname and the network mode"],
  [
    withHost({ NetworkMode: "container:other", PortBindings: { "80/tcp": [{}] } }),
    "conflicting options: port publishing and the container type network mode",
  ],
  [withHost({ UTSMode: "host" }, { Hostname: "h" }), "conflicting options: hostname and the UTS mode"],
  [withHost({ LogConfig: { Type: "json-file", Config: { foo: "x" } } }), "unknown log opt 'foo' for json-file log driver"],
  [withHost({ VolumesFrom: ["nosuch"] }), "No such container: nosuch"],
  [withHost({ Binds: ["/tmp:/a", "/tmp:/a/"] }), "Duplicate mount point: /a"],
  [withHost({ Tmpfs: { "/x": "" }, Binds: ["/tmp:/x"] }), "Duplicate mount point: /x"],
  [withHost({ Annotations: { "": "x" } }), "invalid Annotations: the empty string is not permitted as an annotation key"],
  [{ ...withHost({}), NetworkingConfig: { EndpointsConfig: { mine: null } } }, "invalid config for network mine: EndpointsConfig is nil"],
  [
    { ...withHost({}), NetworkingConfig: { EndpointsConfig: { bridge: { IPAMConfig: { IPv4Address: "1.2.3.4" } } } } },
    "invalid config for network bridge: invalid endpoint settings:\nuser specified IP address is supported on user defined networks only",
  ],
];

test.each(REFUSED)("%j is refused", async (body, message) => {
  await expect(check(body)).rejects.toMatchObject({ kind: "invalid", message });
});

test("of several mistakes Docker's first is named: limits before the image, the image before the command", async () => {
  await expect(check({ Image: "nosuch", HostConfig: { Memory: 1 } })).rejects.toThrow("Minimum memory limit");
  await expect(check({ Image: "nosuch" })).rejects.toMatchObject({ kind: "notFound", message: "No such image: nosuch:latest" });
});

test("what is left open is written down as Docker stores it", async () => {
  const { hostConfig, config, warnings } = await check(withHost({ Memory: 1e8, PidsLimit: -1, NetworkMode: "default" }));
  expect(hostConfig).toMatchObject({
    NetworkMode: "bridge",
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    IpcMode: "private",
    CgroupnsMode: "host",
    ShmSize: 67_108_864,
    MemorySwap: 2e8,
    OomKillDisable: false,
    Runtime: "crun",
    SecurityOpt: undefined,
    PidsLimit: undefined,
  });
  expect(hostConfig.LogConfig.Type).toBe("json-file");
  expect(hostConfig.MaskedPaths).toHaveLength(12);
  expect(hostConfig.ReadonlyPaths).toHaveLength(5);
  expect(config.Hostname).toBe("");
  expect(warnings).toEqual([]);
});

test("privileged and shared namespaces", async () => {
  const { hostConfig } = await check(withHost({ Privileged: true, PidMode: "container:other", NetworkMode: "container:other" }));
  expect(hostConfig).toMatchObject({
    MaskedPaths: undefined,
    ReadonlyPaths: undefined,
    SecurityOpt: ["label=disable"],
    PidMode: `container:${SAMPLE_ID}`,
    NetworkMode: `container:${SAMPLE_ID}`,
  });
  const onV2 = sampleHost({ cgroups: { mode: "v2", v1: new Map(), unified: undefined } });
  expect((await check(withHost({}), onV2)).hostConfig.CgroupnsMode).toBe("private");
  expect((await check(withHost({ CgroupnsMode: "host" }), onV2)).hostConfig.CgroupnsMode).toBe("host");
});

test("a kernel that cannot hold a limit: a warning, and the limit is gone", async () => {
  const limits = sampleLimits({ memorySwap: false, memorySwappiness: false, pids: false, blockWeight: false, oomKillDisable: false });
  const asked = { Memory: 1e8, MemorySwappiness: 10, PidsLimit: 5, BlkioWeight: 500, OomKillDisable: true };
  const { hostConfig, warnings } = await check(withHost(asked), sampleHost({ limits }));
  expect(warnings).toEqual([
    "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
    "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
    "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
    "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
  ]);
  expect(hostConfig).toMatchObject({ Memory: 1e8, MemorySwap: -1, MemorySwappiness: undefined, PidsLimit: undefined, BlkioWeight: 0 });
});

test("a negative OOM score where we may not give one: a warning, and none", async () => {
  const host = sampleHost({ capabilities: new Set(["CAP_CHOWN"]) });
  const { hostConfig, warnings } = await check(withHost({ OomScoreAdj: -500 }), host);
  expect(hostConfig.OomScoreAdj).toBe(0);
  expect(warnings).toEqual([expect.stringContaining("CAP_SYS_RESOURCE")]);
});

test("large numbers keep all their digits", async () => {
  const { hostConfig } = await check(withHost({ Memory: 2n ** 62n - 1n }));
  expect(hostConfig.Memory).toBe(2n ** 62n - 1n);
  expect(hostConfig.MemorySwap).toBe(2n ** 63n - 2n);
});

test("image and request come together; the image's mistakes are found, too", async () => {
  const image = { Cmd: ["serve"], Env: ["A=1"], WorkingDir: "/srv//x/" };
  const { config, command } = await check({ Image: "bb" }, sampleHost(), image);
  expect(command).toEqual({ path: "serve", args: [] });
  expect(config).toMatchObject({ Env: ["A=1"], WorkingDir: "/srv/x" });
  await expect(check({ Image: "bb" }, sampleHost(), { Cmd: ["x"], WorkingDir: "rel" })).rejects.toThrow("working directory 'rel'");
});

test("a container-wide MAC address is its endpoint's", async () => {
  const body = withHost({}, { MacAddress: "02:42:ac:11:00:02" });
  const { networking } = await check(body);
  expect(networking.EndpointsConfig.get("bridge")?.MacAddress).toBe("02:42:ac:11:00:02");
  await expect(check({ ...body, HostConfig: { NetworkMode: "host" } })).rejects.toThrow(
    "conflicting options: mac-address and the network mode",
  );
  await expect(check({ ...body, MacAddress: "zz" })).rejects.toThrow("invalid MAC address zz");
});
