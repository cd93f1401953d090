import { expect, test } from "vitest";

import type { Container } from "./container.ts";
import everythingOfDockerd from "./fixtures/dockerd-20.10-everything.json" with { type: "json" };
import plainOfDockerd from "./fixtures/dockerd-20.10-plain.json" with { type: "json" };
import { NO_DEVICES } from "./host-devices.ts";
import { buildSpec, cgroupsPathOf, type SpecInput } from "./oci-spec.ts";
import { sampleContainer, sampleHost, SAMPLE_DEFAULTS } from "./test-samples.ts";

const ID = "f".repeat(64);

function specOf(container: Container, different: Partial<SpecInput> = {}): ReturnType<typeof buildSpec> {
  return buildSpec({
    container,
    host: sampleHost(),
    rootfsPath: "/rootfs",
    user: { uid: 0, gid: 0, additionalGids: [0], home: "/root" },
    devices: NO_DEVICES,
    binds: { files: new Set(), restrictions: new Map() },
    joined: {},
    files: { hosts: "/container/hosts", hostname: "/container/hostname", resolvConf: "/container/resolv.conf" },
    cgroupParent: "/docker",
    initPath: "/usr/bin/docker-init",
    defaults: SAMPLE_DEFAULTS,
    ...different,
  });
}

/** Where two values differ: `path: theirs → ours`. */
function differences(theirs: unknown, ours: unknown, path = ""): string[] {
  if (typeof theirs !== "object" || typeof ours !== "object" || theirs === null || ours === null) {
    return theirs === ours ? [] : [`${path}: ${JSON.stringify(theirs)} → ${JSON.stringify(ours)}`];
  }
  const [left, right] = [new Map(Object.entries(theirs)), new Map(Object.entries(ours))];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((key) => differences(left.get(key), right.get(key), `${path}/${key}`));
}

/** What differs from dockerd 20.10 in every container, and why. */
const EXPLAINED = [
  /^\/ociVersion: /,
  // Ours is filled before the runtime is called and joined by its path; dockerd's is filled by a hook.
  /^\/hooks: .*libnetwork-setkey/,
  // Written although zero, false or empty.
  /^\/linux\/resources\/memory(\/disableOOMKiller)?: ({"disableOOMKiller":false}|false) → undefined$/,
  /^\/linux\/resources\/cpu: {"shares":0} → undefined$/,
  /^\/linux\/resources\/blockIO(\/weight)?: ({"weight":0}|0) → undefined$/,
  /^\/linux\/devices: undefined → \[\]$/,
  /^\/process\/terminal: undefined → false$/,
  /^\/root\/readonly: undefined → false$/,
  // Node raises its own soft limit to the hard one: without a limit of its own the container would inherit that.
  /^\/process\/rlimits: undefined → \[{"type":"RLIMIT_NOFILE","soft":1024,"hard":524288}\]$/,
  // What runc would add by itself.
  /^\/process\/env\/\d: undefined → "HOME=\/root"$/,
  // Docker 28 masks more, and in another order (GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p).
  /^\/linux\/maskedPaths\//,
];

function unexplained(theirs: object, ours: object): string[] {
  return differences({ ...theirs }, ours).filter((difference) => !EXPLAINED.some((pattern) => pattern.test(difference)));
}

test("a plain container's spec is dockerd's", () => {
  const { linux, ...spec } = specOf(sampleContainer({ config: { Hostname: ID.slice(0, 12) } }, { id: ID }));
  const { seccomp, ...others } = linux;
  expect(unexplained(plainOfDockerd, { ...spec, linux: others })).toEqual([]);
  expect(seccomp?.syscalls.length).toBe(15);
  expect(linux.maskedPaths).toHaveLength(12);
});

test("a container that asks for nearly everything gets what dockerd gives it", () => {
  const container = sampleContainer(
    {
      config: { Hostname: "hosty", Domainname: "dom.example", Env: ["A=1", "PATH=/bin"], WorkingDir: "/data", Tty: true },
      host: {
        ReadonlyRootfs: true,
        Tmpfs: { "/tt": "", "/run": "size=1m,exec" },
        Mounts: [{ Type: "tmpfs", Target: "/tm", TmpfsOptions: { SizeBytes: 2_097_152, Mode: 0o700 } }],
        Memory: 104_857_600,
        MemorySwap: 209_715_200,
        MemoryReservation: 52_428_800,
        NanoCpus: 1_500_000_000,
        CpusetCpus: "0",
        CpuShares: 512,
        PidsLimit: 50,
        CapAdd: ["NET_ADMIN"],
        CapDrop: ["MKNOD"],
        Ulimits: [
          { Name: "core", Soft: 0, Hard: 0 },
          { Name: "nofile", Soft: 100, Hard: 200 },
        ],
        Init: true,
        Devices: [{ PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rwm" }],
        DeviceCgroupRules: ["c 42:* rmw"],
        Sysctls: { "net.core.somaxconn": "100" },
        SecurityOpt: ["no-new-privileges"],
        ShmSize: 1_048_576,
        OomScoreAdj: 100,
        BlkioDeviceReadBps: [{ Path: "/dev/vda", Rate: 1_048_576 }],
      },
    },
    {
      id: ID,
      mounts: [
        bind("/srv/in", "/data/in", true),
        bind("/opt", "/data", false),
        { ...bind("", "/tm", false), type: "tmpfs", propagation: "" },
      ],
    },
  );
  const fuse = { type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 384, uid: 0, gid: 0, access: "rwm" } as const;
  const { linux, process, mounts, ...spec } = specOf(container, {
    host: sampleHost({ kernel: { major: 5, minor: 11 } }),
    devices: { nodes: [fuse], blockNumbers: new Map([["/dev/vda", { major: 254, minor: 0 }]]) },
  });
  const { seccomp: _, ...others } = linux;
  const ours = {
    ...spec,
    linux: others,
    process: { ...process, rlimits: byKey(process.rlimits, "type") },
    mounts: byKey(mounts, "destination"),
  };
  const theirs = {
    ...everythingOfDockerd,
    process: { ...everythingOfDockerd.process, rlimits: byKey(everythingOfDockerd.process.rlimits, "type") },
    mounts: byKey(everythingOfDockerd.mounts, "destination"),
  };
  expect(unexplained(theirs, ours)).toEqual([
    // The same size in another unit.
    '/mounts//tm/options/5: "size=2m" → "size=2097152"',
  ]);
});

test("outer folders are mounted before inner ones, the kernel's own first", () => {
  const { mounts } = specOf(
    sampleContainer({}, { mounts: [bind("/a", "/x/y/z", false), bind("/b", "/x", false), bind("/c", "/x/y", true)] }),
  );
  const destinations = mounts.map(({ destination }) => destination);
  expect(destinations.slice(0, 7)).toEqual(["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"]);
  expect(destinations.filter((one) => one.startsWith("/x"))).toEqual(["/x", "/x/y", "/x/y/z"]);
  expect(mounts.find(({ destination }) => destination === "/x/y")?.options).toEqual(["rbind", "rro", "rprivate"]);
});

test("--privileged lifts what Docker lifts and nothing else", () => {
  const spec = specOf(sampleContainer({ host: { Privileged: true } }), {
    devices: {
      nodes: [{ type: "b", path: "/dev/vda", major: 254, minor: 0, fileMode: 0o660, uid: 0, gid: 6, access: "rwm" }],
      blockNumbers: new Map(),
    },
  });
  expect(spec.linux.seccomp).toBeUndefined();
  expect(spec.linux.maskedPaths).toEqual([]);
  expect(spec.linux.readonlyPaths).toEqual([]);
  expect(spec.process.capabilities.bounding).toHaveLength(41);
  expect(spec.linux.devices).toEqual([{ type: "b", path: "/dev/vda", major: 254, minor: 0, fileMode: 0o660, uid: 0, gid: 6 }]);
  expect(spec.linux.resources.devices.at(-1)).toEqual({ allow: true, access: "rwm" });
  for (const destination of ["/sys", "/sys/fs/cgroup"]) {
    expect(spec.mounts.find((mount) => mount.destination === destination)?.options).not.toContain("ro");
  }
  expect(spec.linux.namespaces.map(({ type }) => type)).toEqual(["mount", "network", "uts", "pid", "ipc"]);
});

test("namespaces are the host's, another container's, or new ones", () => {
  const host = specOf(
    sampleContainer({ host: { NetworkMode: "host", PidMode: "host", IpcMode: "host", UTSMode: "host", CgroupnsMode: "private" } }),
  );
  expect(host.linux.namespaces).toEqual([{ type: "mount" }, { type: "cgroup" }]);
  expect(host).not.toHaveProperty("hostname");
  expect(host.linux.sysctl).toEqual({});
  expect(host.mounts.find(({ destination }) => destination === "/dev/shm")).toMatchObject({ type: "bind", source: "/dev/shm" });

  const shared = sampleContainer({ host: { NetworkMode: "container:a", PidMode: "container:a", IpcMode: "container:a", Init: true } });
  const joined = { network: "/proc/7/ns/net", pid: "/proc/7/ns/pid", ipc: "/proc/7/ns/ipc" };
  const spec = specOf(shared, { joined, shmPath: "/shm-of-a" });
  expect(spec.linux.namespaces).toEqual([
    { type: "mount" },
    { type: "network", path: "/proc/7/ns/net" },
    { type: "uts" },
    { type: "pid", path: "/proc/7/ns/pid" },
    { type: "ipc", path: "/proc/7/ns/ipc" },
  ]);
  expect(spec.mounts.find(({ destination }) => destination === "/dev/shm")?.source).toBe("/shm-of-a");
  // The other container has its init already.
  expect(spec.process.args).toEqual(["sleep", "1000"]);
});

test("no /dev/shm with --ipc none, no defaults below a /dev of the user's", () => {
  const none = specOf(sampleContainer({ host: { IpcMode: "none" } }));
  expect(none.mounts.some(({ destination }) => destination === "/dev/shm")).toBe(false);
  const own = specOf(sampleContainer({}, { mounts: [bind("/dev", "/dev", false)] }));
  expect(own.mounts.filter(({ destination }) => destination.startsWith("/dev"))).toEqual([
    { destination: "/dev", type: "bind", source: "/dev", options: ["rbind", "rprivate"] },
  ]);
});

test("a bind of the user's takes the place of our hosts file", () => {
  const spec = specOf(sampleContainer({}, { mounts: [bind("/my/hosts", "/etc/hosts", false)] }));
  expect(spec.mounts.filter(({ destination }) => destination === "/etc/hosts").map(({ source }) => source)).toEqual(["/my/hosts"]);
});

test("systempaths=unconfined comes as two empty lists", () => {
  const { linux } = specOf(sampleContainer({ host: { MaskedPaths: [], ReadonlyPaths: [] } }));
  expect([linux.maskedPaths, linux.readonlyPaths]).toEqual([[], []]);
});

test("a score that the host does not let us set is left out, so that the start does not fail", () => {
  const host = sampleHost({ capabilities: new Set(["CAP_CHOWN"]), oomScoreAdj: 200 });
  expect(specOf(sampleContainer(), { host }).process).not.toHaveProperty("oomScoreAdj");
  expect(specOf(sampleContainer({ host: { OomScoreAdj: 300 } }), { host }).process.oomScoreAdj).toBe(300);
});

test("AppArmor's default profile is used where it is loaded, a named one always", () => {
  const host = sampleHost({ appArmor: { profiles: new Set(["docker-default"]) } });
  expect(specOf(sampleContainer(), { host }).process.apparmorProfile).toBe("docker-default");
  expect(specOf(sampleContainer({ host: { Privileged: true } }), { host }).process.apparmorProfile).toBe("unconfined");
  expect(specOf(sampleContainer({ host: { SecurityOpt: ["apparmor=mine"] } }), { host }).process.apparmorProfile).toBe("mine");
  const bare = sampleHost({ appArmor: { profiles: new Set() } });
  expect(specOf(sampleContainer(), { host: bare }).process).not.toHaveProperty("apparmorProfile");
});

test("the daemon's configuration fills what the container leaves open", () => {
  const defaults = {
    ulimits: [{ name: "nproc", soft: 64, hard: -1 }],
    init: true,
    noNewPrivileges: true,
    seccompProfile: { kind: "unconfined" } as const,
  };
  const { process, linux } = specOf(sampleContainer(), { defaults });
  expect(process.args.slice(0, 2)).toEqual(["/sbin/docker-init", "--"]);
  expect(process.noNewPrivileges).toBe(true);
  expect(process.rlimits).toContainEqual({ type: "RLIMIT_NPROC", soft: 64, hard: 2n ** 64n - 1n });
  expect(linux.seccomp).toBeUndefined();
  const own = sampleContainer({ host: { Init: false, SecurityOpt: ["no-new-privileges=false", "seccomp=builtin"] } });
  const asked = specOf(own, { defaults });
  expect(asked.process.args).toEqual(["sleep", "1000"]);
  expect(asked.process).not.toHaveProperty("noNewPrivileges");
  expect(asked.linux.seccomp).toBeDefined();
});

test("a cgroup is never above the root of its hierarchy", () => {
  const at = (parent: string): string => cgroupsPathOf(sampleContainer({ host: { CgroupParent: parent } }, { id: "id" }), "/tsubo");
  expect([at(""), at("/mine"), at("mine/x"), at("../../x")]).toEqual(["/tsubo/id", "/mine/id", "/mine/x/id", "/x/id"]);
});

/** A list whose order means nothing here. */
function byKey<K extends string>(list: Record<K, unknown>[], key: K): Record<string, unknown> {
  return Object.fromEntries(list.map((item) => [String(item[key]), item]));
}

function bind(source: string, destination: string, readOnly: boolean): Container["mounts"][number] {
  return { type: "bind", name: "", source, destination, driver: "", mode: "", readOnly, propagation: "rprivate" };
}
