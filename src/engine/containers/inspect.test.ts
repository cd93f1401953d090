import { beforeAll, expect, test } from "vitest";

import { encodeJson } from "../../api/json.ts";
import type { Endpoint } from "../networks/networks.ts";
import type { Container, ContainerState } from "./container.ts";
import { checkCreate } from "./create-checks.ts";
import dockerd from "./fixtures/dockerd-20.10-running.json" with { type: "json" };
import { describeContainer, type ContainerFacts } from "./inspect.ts";
import { summarize } from "./list.ts";
import { SAMPLE_DEFAULTS, SAMPLE_ENDPOINT, sampleBody, sampleContainer, sampleHost } from "./test-samples.ts";

const ID = "a".repeat(64);
const NETWORK_ID = "b".repeat(64);
const STARTED_NS = BigInt(Date.parse(dockerd.inspect.State.StartedAt)) * 1_000_000n;

const endpoint: Endpoint = {
  ...SAMPLE_ENDPOINT,
  networkId: NETWORK_ID,
  networkName: "bridge",
  endpointId: "c".repeat(64),
  macAddress: dockerd.inspect.NetworkSettings.MacAddress,
  ipv4Address: dockerd.inspect.NetworkSettings.IPAddress,
  ipv4PrefixLength: 16,
  gateway: "172.17.0.1",
  ports: [
    ...["0.0.0.0", "::"].map((hostAddress) => ({ containerPort: 80, protocol: "tcp" as const, hostAddress, hostPort: 8081 })),
    ...["0.0.0.0", "::"].map((hostAddress) => ({ containerPort: 91, protocol: "udp" as const, hostAddress, hostPort: udpPort() })),
  ],
};

function udpPort(): number {
  return Number(dockerd.inspect.NetworkSettings.Ports["91/udp"][0]?.HostPort);
}

const facts: ContainerFacts = {
  roots: { data: "/var/lib/docker", exec: "/run/docker" },
  appArmorProfile: "",
  execIds: [],
  driver: "overlay2",
  layerData: {},
  endpoints: [endpoint],
  networkId: () => NETWORK_ID,
  sizes: undefined,
  links: [],
};

/** The container that the stock CLI had dockerd make for the fixture, made here by the same request. */
let container: Container;
beforeAll(async () => {
  const checked = await checkCreate({
    body: sampleBody({
      Image: "bb",
      Cmd: ["sleep", "1000"],
      ExposedPorts: { "91/udp": {}, "80/tcp": {}, "99/tcp": {} },
      Labels: { x: "y" },
      HostConfig: {
        Binds: ["/tmp:/t:ro,z", "vol1:/vv"],
        Mounts: [{ Type: "tmpfs", Target: "/tm" }],
        Tmpfs: { "/run": "size=1m,exec" },
        Memory: 104_857_600,
        NetworkMode: "default",
        PortBindings: { "91/udp": [{ HostIp: "", HostPort: "" }], "80/tcp": [{ HostIp: "", HostPort: "8081" }] },
        Dns: [],
        DnsOptions: [],
        DnsSearch: [],
        BlkioWeightDevice: [],
        BlkioDeviceReadBps: [],
        BlkioDeviceWriteBps: [],
        BlkioDeviceReadIOps: [],
        BlkioDeviceWriteIOps: [],
        Devices: [],
        Ulimits: [],
        RestartPolicy: { Name: "no" },
      },
    }),
    findImage: () => undefined,
    host: sampleHost(),
    settings: {
      runtimes: new Map([["runc", {}]]),
      defaultRuntime: "runc",
      logs: { type: "json-file", options: new Map() },
      defaults: SAMPLE_DEFAULTS,
    },
    containers: { find: () => undefined },
    dataRoot: "/tmp/inside",
  });
  container = sampleContainer(
    {},
    {
      id: ID,
      name: "run1",
      config: { ...checked.config, Hostname: ID.slice(0, 12) },
      hostConfig: checked.hostConfig,
      networking: checked.networking,
      command: checked.command,
      mounts: checked.mounts.map((mount) => (mount.type === "volume" ? { ...mount, source: "/var/lib/docker/volumes/vol1/_data" } : mount)),
      state: { status: "running", pid: 42, startedAtNs: STARTED_NS, paused: false },
    },
  );
});

function differences(theirs: unknown, ours: unknown, path = ""): string[] {
  if (typeof theirs !== "object" || typeof ours !== "object" || theirs === null || ours === null) {
    return theirs === ours ? [] : [`${path}: ${JSON.stringify(theirs)} → ${JSON.stringify(ours)}`];
  }
  const [left, right] = [new Map(Object.entries(theirs)), new Map(Object.entries(ours))];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((key) => differences(left.get(key), right.get(key), `${path}/${key}`));
}

/** What differs from dockerd 20.10, and why. */
const EXPLAINED = [
  /^\/(Created|State\/(Pid|StartedAt|FinishedAt)|NetworkSettings\/(SandboxID|SandboxKey)|Status): /,
  /^\/GraphDriver\/Data\//,
  // Docker 28: "default" is written as what it means; two networks' members more; kernel memory is gone; more is masked.
  /^(\/HostConfig)?\/(HostConfig\/)?NetworkMode: "default" → "bridge"$/,
  /^\/NetworkSettings\/Networks\/bridge\/(GwPriority: undefined → 0|DNSNames: undefined → null)$/,
  /^\/HostConfig\/KernelMemory(TCP)?: 0 → undefined$/,
  /^\/HostConfig\/MaskedPaths\//,
];

function unexplained(theirs: object, ours: object): string[] {
  return differences(theirs, JSON.parse(encodeJson(ours))).filter((difference) => !EXPLAINED.some((pattern) => pattern.test(difference)));
}

test("inspect of a running container is dockerd's, member by member", () => {
  expect(unexplained(dockerd.inspect, describeContainer(container, facts))).toEqual([]);
});

test("its line in the list is dockerd's", () => {
  const line = summarize(container, { endpoints: [endpoint], networkId: () => NETWORK_ID, image: "bb", aliases: [], nowNs: STARTED_NS });
  const theirs = { ...dockerd.list, Mounts: dockerd.list.Mounts.toSorted((a, b) => (a.Type < b.Type ? -1 : 1)) };
  const mounts = container.mounts.map(({ type }) => type);
  expect(mounts).toEqual(["bind", "volume", "tmpfs"]);
  const ours = JSON.parse(encodeJson(line)) as { Mounts: { Type: string }[] };
  expect(unexplained(theirs, { ...ours, Mounts: ours.Mounts.toSorted((a, b) => (a.Type < b.Type ? -1 : 1)) })).toEqual([]);
});

const ended = { exitCode: 137, finishedAtNs: STARTED_NS, oomKilled: true, error: "" };

test.each<[ContainerState, Record<string, unknown>]>([
  [
    { status: "created", exitCode: 127, error: "no such thing" },
    { Status: "created", Running: false, Pid: 0, ExitCode: 127, Error: "no such thing", StartedAt: "0001-01-01T00:00:00Z" },
  ],
  [
    { status: "running", pid: 7, startedAtNs: 1n, paused: true },
    { Status: "paused", Running: true, Paused: true, Pid: 7, ExitCode: 0 },
  ],
  [
    { status: "restarting", ended, startedAtNs: 1n },
    { Status: "restarting", Running: true, Restarting: true, Pid: 0, ExitCode: 137 },
  ],
  [
    { status: "exited", ended, startedAtNs: 1n },
    { Status: "exited", Running: false, OOMKilled: true, ExitCode: 137, StartedAt: "1970-01-01T00:00:00.000000001Z" },
  ],
  [
    { status: "dead", ended, startedAtNs: 1n },
    { Status: "dead", Dead: true, Running: false },
  ],
])("State of a container: %#", (state, expected) => {
  expect(describeContainer(sampleContainer({}, { state }), facts)["State"]).toMatchObject(expected);
});

test("a container that never started has no files, no ports, and a network without an address", () => {
  const json = describeContainer(sampleContainer({ config: { ExposedPorts: { "80/tcp": {} } } }), { ...facts, endpoints: [] });
  expect(json).toMatchObject({ ResolvConfPath: "", HostsPath: "", HostnamePath: "", LogPath: "", ExecIDs: null });
  expect(json["NetworkSettings"]).toMatchObject({ Ports: {}, SandboxID: "", Networks: { bridge: { NetworkID: "", IPAddress: "" } } });
});

test("a container on another's network has none of its own", () => {
  const shared = sampleContainer({ host: { NetworkMode: `container:${ID}` } }, { state: container.state });
  const json = describeContainer(shared, { ...facts, endpoints: [] });
  expect(json["NetworkSettings"]).toMatchObject({ Networks: {}, SandboxID: "", SandboxKey: "" });
  expect(json["HostsPath"]).toBe(`/var/lib/docker/containers/${ID}/hosts`);
});

test("numbers beyond 2^53 and names like JavaScript's own come out as they went in", () => {
  const labels = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
  const strange = sampleContainer({ config: { Labels: labels }, host: { Memory: 2n ** 62n + 1n } });
  const text = encodeJson(describeContainer(strange, facts));
  expect(text).toContain('"Memory":4611686018427387905');
  expect(text).toContain('"Labels":{"__proto__":"x","constructor":"y"}');
});
