import { expect, test } from "vitest";

import type { Image } from "../images/images.ts";
import type { Endpoint, NetworkResource } from "../networks/networks.ts";
import type { Container } from "./container.ts";
import { listContainers, type ListSources } from "./list.ts";
import { SAMPLE_ENDPOINT, sampleContainer } from "./test-samples.ts";

const image = (id: string, parent?: string): Image => ({
  id,
  tags: [],
  digests: [],
  config: { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } },
  parent,
  manifests: [],
  chainId: undefined,
  sizeBytes: 0,
  createdNs: 0n,
  lastTaggedNs: 0n,
});

const images = new Map([
  ["base", image("sha256:base")],
  ["sha256:base", image("sha256:base")],
  ["child", image("sha256:child", "sha256:base")],
  ["sha256:child", image("sha256:child", "sha256:base")],
]);

const ended = (exitCode: number): Container["state"] => ({
  status: "exited",
  ended: { exitCode, finishedAtNs: 5n, oomKilled: false, error: "" },
  startedAtNs: 1n,
});
const running: Container["state"] = { status: "running", pid: 1, startedAtNs: 1n, paused: false };

function container(
  name: string,
  ageNs: bigint,
  different: Partial<Container>,
  asked: Parameters<typeof sampleContainer>[0] = {},
): Container {
  return sampleContainer(asked, {
    id: `${name}${"0".repeat(64 - name.length)}`,
    name,
    createdNs: 1000n - ageNs,
    imageId: "sha256:base",
    ...different,
  });
}

const bind = {
  type: "bind",
  name: "",
  source: "/srv",
  destination: "/data",
  driver: "",
  mode: "",
  readOnly: false,
  propagation: "",
} as const;
const all = [
  container(
    "abc",
    1n,
    { state: running },
    { config: { Image: "base", Labels: { role: "web", tier: "a=b" }, ExposedPorts: { "80/tcp": {}, "9/udp": {} } } },
  ),
  container("dead1", 2n, { state: ended(3) }, { config: { Image: "base", Labels: { role: "db" } } }),
  container("new1", 3n, { imageId: "sha256:child" }, { config: { Image: "child" } }),
  container(
    "paused1",
    4n,
    { state: { ...running, paused: true }, mounts: [bind] },
    { host: { NetworkMode: "host" }, config: { Image: "gone" } },
  ),
  container(
    "abd",
    5n,
    { state: ended(0), mounts: [{ ...bind, type: "volume", name: "vol" }] },
    { host: { NetworkMode: "mine" }, config: { Image: "base" } },
  ),
];

const endpoint: Endpoint = {
  ...SAMPLE_ENDPOINT,
  networkId: "netid",
  networkName: "bridge",
  endpointId: "e",
  macAddress: "m",
  ipv4Address: "10.0.0.2",
  ipv4PrefixLength: 16,
  gateway: "10.0.0.1",
  ports: [{ containerPort: 80, protocol: "tcp", hostAddress: "0.0.0.0", hostPort: 8080 }],
};

const sources: ListSources = {
  set: {
    all: () => all,
    find: (name) => {
      const byName = all.find((one) => one.name === name.replace(/^\//, "") || one.id === name);
      const byPrefix = all.filter((one) => one.id.startsWith(name));
      if (byName === undefined && byPrefix.length > 1) throw new Error("multiple IDs found");
      return byName ?? byPrefix[0];
    },
  },
  images: { find: (name) => images.get(name) },
  networks: {
    endpointsOf: (id) => (id === all[0]?.id ? [endpoint] : []),
    // Only its name and id are looked at.
    list: () => [{ Name: "mine", Id: "mineid" } as NetworkResource],
  },
  layers: { describe: () => ({ parent: undefined, diffId: "", bytes: 100 }), measureWritable: async () => 7 },
};

async function list(filters: Record<string, string[]>, options: { all?: boolean; limit?: number; size?: boolean } = {}): Promise<string[]> {
  const asked = { all: options.all ?? true, limit: options.limit, size: options.size ?? false, filters: new Map(Object.entries(filters)) };
  return (await listContainers(sources, asked)).map(({ Names }) => String(Names).slice(1));
}

test("newest first; what runs, unless more is wanted", async () => {
  expect(await list({}, { all: false })).toEqual(["abc", "paused1"]);
  expect(await list({})).toEqual(["abc", "dead1", "new1", "paused1", "abd"]);
  expect(await list({}, { all: false, limit: 2 })).toEqual(["abc", "dead1"]);
  expect(await list({ status: ["exited"] }, { all: false })).toEqual(["dead1", "abd"]);
});

test.each<[string, Record<string, string[]>, string[]]>([
  ["id prefix", { id: ["dead"] }, ["dead1"]],
  ["id prefix of two", { id: ["ab"] }, []],
  ["name as a pattern", { name: ["^ab"] }, ["abc", "abd"]],
  ["name with a slash", { name: ["/abc"] }, ["abc"]],
  ["name that is no pattern", { name: ["["] }, []],
  ["several names", { name: ["abc", "new"] }, ["abc", "new1"]],
  ["label", { label: ["role"] }, ["abc", "dead1"]],
  ["label with a value", { label: ["tier=a=b"] }, ["abc"]],
  ["labels, all of them", { label: ["role=web", "tier"] }, ["abc"]],
  ["labels, not all", { label: ["role=db", "tier"] }, []],
  ["status", { status: ["created", "paused"] }, ["new1", "paused1"]],
  ["exited", { exited: ["0"] }, ["abd"]],
  ["exited, two codes", { exited: ["0", "3"] }, ["dead1", "abd"]],
  ["before", { before: ["new1"] }, ["paused1", "abd"]],
  ["since", { since: ["new1"] }, ["abc", "dead1"]],
  ["ancestor", { ancestor: ["base"] }, ["abc", "dead1", "new1", "paused1", "abd"]],
  ["ancestor, the child", { ancestor: ["child"] }, ["new1"]],
  ["ancestor that is not there", { ancestor: ["nosuch"] }, []],
  ["volume by name", { volume: ["vol"] }, ["abd"]],
  ["volume by destination", { volume: ["/data"] }, ["paused1", "abd"]],
  ["bind by source", { volume: ["/srv"] }, ["paused1"]],
  ["network by name", { network: ["host"] }, ["paused1"]],
  ["network by id prefix", { network: ["mine"] }, ["abd"]],
  ["publish", { publish: ["8080"] }, ["abc"]],
  ["publish, range and protocol", { publish: ["8000-9000/tcp"] }, ["abc"]],
  ["publish, other protocol", { publish: ["8080/udp"] }, []],
  ["expose", { expose: ["9/udp"] }, ["abc"]],
  ["health", { health: ["none"] }, ["abc", "dead1", "new1", "paused1", "abd"]],
  ["health, none has", { health: ["healthy"] }, []],
  ["is-task", { "is-task": ["true"] }, []],
  ["two keys", { label: ["role"], status: ["running"] }, ["abc"]],
  ["a key without values", { name: [] }, ["abc", "dead1", "new1", "paused1", "abd"]],
])("filter by %s", async (_, filters, expected) => {
  expect(await list(filters)).toEqual(expected);
});

test.each<[Record<string, string[]>, string]>([
  [{ bogus: ["x"] }, "invalid filter 'bogus'"],
  [{ status: ["x"] }, "invalid filter 'status=x': invalid value for state (x): must be one of created, running, paused, restarting"],
  [{ health: ["x"] }, "invalid filter 'health=x': invalid value for health (x): must be one of none, starting, healthy, unhealthy"],
  [{ exited: ["x"] }, `invalid filter 'exited=x': strconv.Atoi: parsing "x": invalid syntax`],
  [{ "is-task": ["x"] }, "invalid filter 'is-task=[x]'"],
  [{ publish: ["a:b"] }, "filter for 'publish' should not contain ':': a:b"],
  [{ expose: ["x"] }, "error while looking up for expose x"],
  [{ expose: ["9-3"] }, "invalid range specified for port"],
  [{ before: ["nosuch"] }, "No such container: nosuch"],
])("the filter %j is refused", async (filters, message) => {
  await expect(list(filters)).rejects.toThrow(message);
});

test("an image that is gone or means another one is shown by its id", async () => {
  const asked = { all: true, limit: undefined, size: true, filters: new Map() };
  const shown = await listContainers(sources, asked);
  expect(shown.map(({ Image }) => Image)).toEqual(["base", "base", "child", "sha256:base", "base"]);
  expect(shown[0]).toMatchObject({ SizeRw: 7, SizeRootFs: 7, Status: expect.stringMatching(/^Up /) });
  expect(shown[3]?.["Status"]).toMatch(/\(Paused\)$/);
});
