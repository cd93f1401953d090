import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { type DaemonConfig, readDaemonConfig } from "./daemon-config.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tsubo-config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function configOf(...args: string[]): Promise<DaemonConfig> {
  const command = await readDaemonConfig(args);
  if (command.kind !== "run") throw new Error(`printed instead: ${command.text}`);
  return command.config;
}

async function notesOf(...args: string[]): Promise<string[]> {
  const command = await readDaemonConfig(args);
  return command.kind === "run" ? command.notes : [];
}

async function refusal(...args: string[]): Promise<string> {
  return readDaemonConfig(args).then(
    () => "accepted",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

let files = 0;
function file(content: unknown): string {
  files += 1;
  const name = path.join(folder, `${files}.json`);
  writeFileSync(name, typeof content === "string" ? content : JSON.stringify(content));
  return name;
}

test("without flags: everything below two roots", async () => {
  expect(await configOf()).toMatchObject({
    roots: { data: "/var/lib/tsubo", exec: "/run/tsubo" },
    pidFile: "/run/tsubo/tsubo.pid",
    listenOn: [{ kind: "unix", path: "/run/tsubo/tsubo.sock" }],
    logLevel: "info",
    bridge: { name: "tsubo0", address: undefined, ipv6: undefined, icc: true },
    logs: { type: "json-file" },
    containers: { cgroupParent: undefined, shmSizeBytes: 67_108_864 },
  });
  expect(await configOf("--exec-root", "/run/other")).toMatchObject({
    pidFile: "/run/other/tsubo.pid",
    listenOn: [{ kind: "unix", path: "/run/other/tsubo.sock" }],
  });
});

test("dockerd's grammar", async () => {
  const config = await configOf(
    "-D",
    "-Hunix:///a.sock",
    "-H",
    "tcp://:2376",
    "--host=[::1]:99",
    "-H=unix://",
    "--bridge=ts0",
    "--bip",
    "172.29.0.1/16",
    "-p",
    "/x.pid",
  );
  expect(config).toMatchObject({ debug: true, logLevel: "debug", pidFile: "/x.pid", bridge: { name: "ts0", address: "172.29.0.1/16" } });
  expect(config.listenOn).toEqual([
    { kind: "unix", path: "/a.sock" },
    { kind: "tcp", host: "localhost", port: 2376 },
    { kind: "tcp", host: "::1", port: 99 },
    { kind: "unix", path: "/run/tsubo/tsubo.sock" },
  ]);
  expect(await configOf("-DH", "unix:///a.sock")).toMatchObject({ debug: true, listenOn: [{ path: "/a.sock" }] });
  expect(await configOf("--debug=false", "--init=T")).toMatchObject({ debug: false, containers: { init: true } });
  expect(await configOf("--data-root=/one", "--data-root=/two")).toMatchObject({ roots: { data: "/two" } });
});

test("the default network, and where subnets come from", async () => {
  const words = ["--ipv6", "--bip=172.29.0.1/16", "--fixed-cidr=172.29.4.0/24", "--bip6=fd00:29::1/64", "--icc=false", "--ip-masq=false"];
  const config = await configOf(...words, "--ip=127.0.0.1", "--default-address-pool=base=10.0.0.0/8,size=24");
  expect(config.bridge).toEqual({
    name: "tsubo0",
    address: "172.29.0.1/16",
    range: "172.29.4.0/24",
    ipv6: { address: "fd00:29::1/64", range: undefined },
    mtu: undefined,
    icc: false,
    masquerade: false,
    bindingAddress: "127.0.0.1",
  });
  expect(config.addressPools).toEqual([{ base: "10.0.0.0/8", length: 24 }]);
  const content = {
    ipv6: true,
    "fixed-cidr-v6": "fd00:29::/64",
    "default-address-pools": [{ base: "10.0.0.0/8", size: 24 }],
    ip: "0.0.0.0",
  };
  const fromFile = await configOf("--config-file", file(content));
  expect(fromFile.bridge).toMatchObject({ ipv6: { range: "fd00:29::/64" }, bindingAddress: undefined });
  expect(fromFile.addressPools).toEqual(config.addressPools);
});

test("what is no flag, or no value of it, is refused in pflag's words", async () => {
  expect(await refusal("--colour=red")).toBe("unknown flag: --colour\nSee 'tsubod --help'.");
  expect(await refusal("-Dx")).toContain("unknown shorthand flag: 'x' in -Dx");
  expect(await refusal("--data-root")).toContain("flag needs an argument: --data-root");
  expect(await refusal("-H")).toContain("flag needs an argument: 'H' in -H");
  expect(await refusal("--debug=maybe")).toContain(
    'invalid argument "maybe" for "-D, --debug" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
  );
  expect(await refusal("--mtu=large")).toContain('invalid argument "large" for "--mtu" flag');
  expect(await refusal("run")).toContain('"tsubod" accepts no arguments: run');
  expect(await refusal("--", "x")).toContain("accepts no arguments");
});

test.each([
  ["--host=http://x", "unsupported proto 'http'"],
  ["--host=tcp://x:0", "invalid port: 0"],
  ["--host=tcp://x:1/path", "should not contain a path element"],
  ["--host=fd://", "socket activation"],
  ["--bip=172.29.0.1", "172.29.0.1/16"],
  ["--bip=fd00::1/64", "172.29.0.1/16"],
  ["--fixed-cidr=172.29.1.1/24", "an address and no range"],
  ["--fixed-cidr-v6=fd00:29::/64", "given without --ipv6"],
  ["--default-address-pool=base=10.0.0.0/8", "a size from 8 to 32 is wanted for 10.0.0.0/8"],
  ["--default-address-pool=base=10.0.0.1/8,size=24", "invalid base pool"],
  ["--ip=host", "invalid IP address: host"],
  ["--dns=1.2.3", "invalid IP address: 1.2.3"],
  ["--label=x", "bad attribute format: x"],
  ["--log-level=loud", "invalid logging level: loud"],
  ["--log-driver=carrier-pigeon", "no log driver named 'carrier-pigeon' is registered"],
  ["--log-opt=colour=red", "unknown log opt 'colour' for json-file log driver"],
  ["--log-opt=max-size=huge", "invalid size: 'huge'"],
  ["--default-ulimit=nofile=10:5", "soft limit must be less than or equal to hard limit: 10 > 5"],
  ["--default-ulimit=wishes=3", "invalid ulimit type: wishes"],
  ["--default-shm-size=big", "invalid size: 'big'"],
  ["--default-ipc-mode=host", "private or shareable is wanted"],
  ["--registry-mirror=ftp://x", "must be an http:// or https:// address"],
  ["--registry-mirror=https://u:secret@x", "not allowed in the address"],
  ["--seccomp-profile=/nonexistent", "opening seccomp profile (/nonexistent) failed"],
  ["--add-runtime=x", "NAME=PATH is wanted"],
  ["--cgroup-parent=a", "an absolute path is wanted"],
  ["--shutdown-timeout=-1", "invalid shutdown timeout: -1"],
])("%s is refused", async (flag, message) => {
  expect(await refusal(flag)).toContain(message);
});

test("the config file has dockerd's keys, groups included", async () => {
  const config = await configOf(
    "--config-file",
    file({
      hosts: ["unix:///f.sock"],
      debug: true,
      "insecure-registries": ["r:5000"],
      "registry-mirrors": ["https://m/"],
      runtimes: { gv: { path: "/usr/bin/runsc", runtimeArgs: ["--x"] } },
      "default-ulimits": { nofile: { Name: "nofile", Soft: 10, Hard: 20 } },
      "log-opts": { "max-size": "1m" },
      "default-runtime": "gv",
    }),
    "--add-runtime",
    "other=/bin/other",
  );
  expect(config).toMatchObject({
    listenOn: [{ path: "/f.sock" }],
    debug: true,
    registries: { insecure: ["r:5000"], mirrors: ["https://m"] },
    defaultRuntime: "gv",
    containers: { ulimits: [{ name: "nofile", soft: 10, hard: 20 }] },
  });
  expect([...config.runtimes.values()]).toEqual([
    { name: "gv", path: "/usr/bin/runsc", args: ["--x"] },
    { name: "other", path: "/bin/other", args: [] },
  ]);
  expect(config.logs.options.get("max-size")).toBe("1m");
  expect(await configOf("--config-file", file(""))).toMatchObject({ logLevel: "info" });
});

test("a config file that is wrong is refused with its name and the reason", async () => {
  expect(await refusal("--config-file", "/nonexistent.json")).toBe(
    "unable to configure the daemon with file /nonexistent.json: open /nonexistent.json: no such file or directory",
  );
  expect(await refusal("--config-file", file("{"))).toContain("unable to configure the daemon with file");
  expect(await refusal("--config-file", file("[]"))).toContain("not a JSON object");
  expect(await refusal("--config-file", file({ colour: "red", debug: true }))).toContain(
    "the following directives don't match any configuration option: colour",
  );
  expect(await refusal("--config-file", file({ debug: "yes" }))).toContain('debug: a boolean is wanted, not "yes"');
  expect(await refusal("--config-file", file({ hosts: "unix:///x" }))).toContain("hosts: a list of strings is wanted");
  expect(await refusal("-D", "-H", "unix:///a", "--config-file", file({ hosts: ["unix:///b", "c"], debug: true }))).toContain(
    "the following directives are specified both as a flag and in the configuration file: " +
      "debug: (from flag: true, from file: true), hosts: (from flag: [unix:///a], from file: [unix:///b c])",
  );
  expect(await refusal("--add-runtime=x=/a", "--config-file", file({ runtimes: { x: { path: "/b" } } }))).toBe(
    "runtime 'x' was already defined",
  );
});

test("flags of dockerd that mean nothing here are accepted, and said so", async () => {
  expect(await notesOf("--live-restore", "--ip6tables=false")).toEqual([
    "ip6tables has no effect: the firewall is nftables, in a table of its own",
    "live-restore has no effect: containers always outlive the daemon",
  ]);
  expect(await notesOf("--config-file", file({ proxies: { "http-proxy": "http://p" }, features: { buildkit: true } }))).toHaveLength(2);
  expect(await notesOf()).toEqual([]);
});

test.each([
  "--tls",
  "--tlsverify",
  "--tlsverify=false",
  "--tlscacert=/ca.pem",
  "--tlscert=/cert.pem",
  "--tlskey=/key.pem",
  "--authorization-plugin=opa",
  "--userns-remap=default",
  "--selinux-enabled",
  "--rootless",
  "--bridge=none",
  "--iptables=false",
  "--ip-forward=false",
  "--default-network-opt=bridge=com.docker.network.bridge.enable_icc=false",
  "--storage-opt=overlay2.size=10G",
])("%s asks for a protection that is not there: the daemon does not start without it", async (flag) => {
  const [name = ""] = flag.split(/=|$/, 1);
  expect(await refusal("-H", "tcp://127.0.0.1:2376", flag)).toMatch(new RegExp(`^${name}=.* asks for a protection .* Way out: .*`));
});

test("a protection is missed in the config file too, and by its name there", async () => {
  const name = file({ "userns-remap": "default" });
  expect(await refusal("--config-file", name)).toMatch(`"userns-remap": "default" in ${name} asks for a protection`);
  expect(await refusal("--config-file", file({ "authorization-plugins": ["opa"] }))).toContain('"authorization-plugins": ["opa"]');
  expect(
    await refusal("--config-file", file({ "default-network-opts": { bridge: { "com.docker.network.bridge.enable_icc": "false" } } })),
  ).toContain("networks have no daemon-wide options yet");
  expect(
    await refusal("--config-file", file({ "authorization-plugins": [], "userns-remap": "", tls: false, "selinux-enabled": false })),
  ).toBe("accepted");
});

test("values that ask for what is done anyway are accepted", async () => {
  const harmless = ["--tls=false", "--iptables", "--ip-forward=true", "--userns-remap=", "--rootless=false"];
  expect(await refusal(...harmless, "--selinux-enabled=false", "--storage-opt=overlay2.override_kernel_check=true")).toBe("accepted");
});

test("an address on the network without TLS is served with a warning, as dockerd does", async () => {
  expect(await notesOf("-H", "unix:///a.sock")).toEqual([]);
  const [insecure, browsers] = [
    expect.stringContaining("root access on this machine"),
    expect.stringContaining("scripts run in a browser"),
  ];
  expect(await notesOf("-H", "tcp://127.0.0.1:2375")).toEqual([insecure, browsers]);
  expect(await notesOf("-H", "tcp://0.0.0.0:2375")).toEqual([insecure, browsers, expect.stringContaining("say --tls=false")]);
  expect(await notesOf("-H", "tcp://0.0.0.0:2375", "--tls=false")).not.toContainEqual(expect.stringContaining("say --tls=false"));
});

test("--help, --version and --validate print and do no more", async () => {
  expect(await readDaemonConfig(["--help"])).toMatchObject({ kind: "print", text: expect.stringContaining("--data-root PATH") });
  expect(await readDaemonConfig(["-v"])).toMatchObject({ kind: "print", text: expect.stringMatching(/^Tsubo version \d/) });
  expect(await readDaemonConfig(["--validate"])).toEqual({ kind: "print", text: "configuration OK\n" });
  expect(await refusal("--validate", "--log-level=loud")).toContain("invalid logging level");
});

test("the build cache's policy, as dockerd's config file has it", async () => {
  const policyOf = async (builder: object): Promise<unknown> => {
    const command = await readDaemonConfig(["--config-file", file({ builder })]);
    return command.kind === "run" ? command.config.buildCache : undefined;
  };
  expect(await policyOf({})).toEqual({ isEnabled: true, reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0, rules: undefined });
  expect(await policyOf({ gc: { Enabled: false, defaultKeepStorage: "20GB", defaultMinFreeSpace: "1g" } })).toMatchObject({
    isEnabled: false,
    reservedBytes: 20 * 1024 ** 3,
    minFreeBytes: 1024 ** 3,
  });
  const policy = [
    { keepStorage: "10GB", filter: ["unused-for=48h", "type==source.local"] },
    { maxUsedSpace: "1m", all: true },
  ];
  expect(await policyOf({ gc: { policy } })).toMatchObject({
    rules: [
      { reservedBytes: 10 * 1024 ** 3, keepForMs: 48 * 3_600_000, maxUsedBytes: 0 },
      { maxUsedBytes: 1024 ** 2, keepForMs: 0 },
    ],
  });
  expect(await refusal("--config-file", file({ builder: { gc: { defaultKeepStorage: "much" } } }))).toContain(
    'builder.gc: defaultKeepStorage: a size such as "20GB" is wanted',
  );
  expect(await refusal("--config-file", file({ builder: { gc: { policy: [{ filter: ["colour=red"] }] } } }))).toContain(
    "invalid filter 'colour'",
  );
});
