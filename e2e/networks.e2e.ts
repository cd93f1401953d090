import { beforeEach, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** User-defined networks by the stock CLI: making, joining, leaving, removing, and what is refused. */

const daemon = useDaemon();
const ok = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const refused = async (...args: string[]): Promise<string> => {
  const { code, stderr } = await daemon().docker(...args);
  expect(code).not.toBe(0);
  return stderr;
};
const run = (name: string, ...options: string[]): Promise<string> =>
  ok("run", "-d", "--name", name, ...options, "busybox", "sleep", "1000");
const sh = (network: string, script: string): Promise<string> => ok("run", "--rm", network, "busybox", "sh", "-c", script);
const inspect = (name: string, format: string): Promise<string> => ok("inspect", "-f", format, name);
const addressOn = (network: string, name: string): Promise<string> =>
  inspect(name, `{{with index .NetworkSettings.Networks "${network}"}}{{.IPAddress}}{{end}}`);
const reaches = async (from: string, address: string): Promise<boolean> =>
  (await daemon().docker("exec", from, "ping", "-c1", "-W1", address)).code === 0;

describe("create", () => {
  test("gives the id, and inspect tells what was made", async () => {
    const id = await ok(
      "network",
      "create",
      "--subnet=10.201.0.0/16",
      "--ip-range=10.201.5.0/24",
      "--gateway=10.201.5.254",
      "--aux-address=router=10.201.5.7",
      "--label=a=b",
      "--opt=com.docker.network.driver.mtu=1400",
      "--attachable",
      "mine",
    );
    const [made] = JSON.parse(await ok("network", "inspect", "mine")) as Record<string, unknown>[];
    expect(made).toMatchObject({
      Name: "mine",
      Id: id,
      Scope: "local",
      Driver: "bridge",
      EnableIPv4: true,
      EnableIPv6: false,
      IPAM: {
        Driver: "default",
        Options: {},
        Config: [
          { Subnet: "10.201.0.0/16", IPRange: "10.201.5.0/24", Gateway: "10.201.5.254", AuxiliaryAddresses: { router: "10.201.5.7" } },
        ],
      },
      Internal: false,
      Attachable: true,
      Containers: {},
      Options: { "com.docker.network.driver.mtu": "1400" },
      Labels: { a: "b" },
    });
    await run("one", "--network=mine");
    expect(await addressOn("mine", "one")).toBe("10.201.5.0");
    expect(await ok("exec", "one", "ip", "link", "show", "eth0")).toContain("mtu 1400");
    expect(await ok("exec", "one", "ip", "route")).toContain("default via 10.201.5.254");
  });

  test("without a subnet it gets one that nobody has, neither host nor network", async () => {
    await daemon().run(["ip", "route", "add", "blackhole", "172.31.0.0/16"]);
    try {
      for (const name of ["a", "b", "c"]) await ok("network", "create", name);
      const subnets = (await ok("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", "bridge", "a", "b", "c")).split(
        "\n",
      );
      expect(new Set(subnets).size).toBe(4);
      expect(subnets).not.toContain("172.31.0.0/16");
    } finally {
      await daemon().run(["ip", "route", "del", "blackhole", "172.31.0.0/16"]);
    }
  });

  test("an internal one has no way out", async () => {
    await ok("network", "create", "--internal", "inside");
    await run("one", "--network=inside");
    await run("two", "--network=inside");
    expect(await ok("exec", "one", "ip", "route")).not.toContain("default");
    expect(await reaches("one", await addressOn("inside", "two"))).toBe(true);
  });

  test.each<[string, string[], string]>([
    ["a name that is taken", ["bridge2", "--", "bridge2"], "network with name bridge2 already exists"],
    ["a predefined name", ["bridge"], "operation is not permitted on predefined bridge network"],
    ["no subnet", ["--subnet=10.300.0.0/16", "x"], "invalid subnet 10.300.0.0/16: invalid CIDR block notation"],
    ["a subnet with host bits", ["--subnet=10.9.0.1/16", "x"], "invalid subnet 10.9.0.1/16: it should be 10.9.0.0/16"],
    ["an unknown driver", ["--driver=nosuch", "x"], 'plugin "nosuch" not found'],
    ["another host network", ["--driver=host", "x"], 'only one instance of "host" network is allowed'],
    ["an option that is none", ["--opt=com.docker.network.bridge.enable_icc=maybe", "x"], "it is neither true nor false"],
    ["an MTU that is none", ["--opt=com.docker.network.driver.mtu=many", "x"], "an MTU is a number"],
  ])("refuses %s", async (_, args, why) => {
    if (args[1] === "--") await ok("network", "create", args[0] ?? "");
    expect(
      await refused("network", "create", ...args.filter((word, index) => word !== "--" && !(args[1] === "--" && index === 0))),
    ).toContain(why);
  });

  test("refuses a subnet of another network, and two on one bridge", async () => {
    await ok("network", "create", "--subnet=10.203.0.0/16", "--opt=com.docker.network.bridge.name=ttmine", "wide");
    expect(await refused("network", "create", "--subnet=10.203.4.0/24", "narrow")).toContain(
      "Pool overlaps with other one on this address space",
    );
    expect(await refused("network", "create", "--opt=com.docker.network.bridge.name=ttmine", "other")).toContain(
      "bridge ttmine is used by network wide",
    );
  });
});

describe("a container on several", () => {
  beforeEach(async () => {
    await ok("network", "create", "--subnet=10.204.0.0/24", "front");
    await ok("network", "create", "--subnet=10.205.0.0/24", "back");
  });

  test("from its start: a link for each, the default route by the first name or the highest priority", async () => {
    await run("both", "--network=front", "--network=back");
    expect(await ok("exec", "both", "ip", "route")).toContain("default via 10.205.0.1");
    await run("chosen", "--network=name=front,gw-priority=1", "--network=back");
    expect(await ok("exec", "chosen", "ip", "route")).toContain("default via 10.204.0.1");
    await run("behind", "--network=back");
    await run("before", "--network=front");
    expect(await reaches("both", await addressOn("back", "behind"))).toBe(true);
    expect(await reaches("both", await addressOn("front", "before"))).toBe(true);
    expect(await reaches("before", await addressOn("back", "behind"))).toBe(false);
  });

  test("links have the names that are asked for", async () => {
    const named = "driver-opt=com.docker.network.endpoint.ifname=";
    await run("named", `--network=name=front,${named}eth1`, "--network=back");
    expect(await ok("exec", "named", "ip", "-4", "-o", "addr")).toMatch(/eth1 .*10\.204[^]*eth0 .*10\.205/);
    expect(await refused("run", "--rm", `--network=name=front,${named}a/b`, "busybox", "true")).toContain("invalid interface name");
    await ok("network", "create", "third");
    expect(await refused("network", "connect", "--driver-opt=com.docker.network.endpoint.ifname=eth0", "third", "named")).toContain(
      "interface name eth0 is in use already",
    );
  });

  test("connected while it runs, with an address of its own, and taken off again", async () => {
    await run("one", "--network=front");
    await run("two", "--network=back");
    await ok("network", "connect", "--ip=10.205.0.77", "--alias=nick", "back", "one");
    expect(await addressOn("back", "one")).toBe("10.205.0.77");
    expect(await inspect("one", '{{json (index .NetworkSettings.Networks "back").Aliases}}')).toBe('["nick"]');
    expect(await reaches("two", "10.205.0.77")).toBe(true);
    expect(await ok("exec", "one", "cat", "/etc/hosts")).toContain("10.205.0.77\t");
    expect(await ok("network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{.IPv4Address}};{{end}}", "back")).toContain(
      "one 10.205.0.77/24;",
    );
    await ok("network", "disconnect", "back", "one");
    expect(await reaches("two", "10.205.0.77")).toBe(false);
    expect(await ok("exec", "one", "cat", "/etc/hosts")).not.toContain("10.205.0.77");
    expect(await ok("exec", "one", "ip", "-o", "link")).not.toContain("eth1");
    await ok("restart", "-t", "0", "one");
    expect(await ok("exec", "one", "ip", "-o", "link")).not.toContain("eth1");
  });

  test("connected while it does not run: from the next start on", async () => {
    await ok("create", "--name", "one", "--network=front", "busybox", "sleep", "1000");
    await ok("network", "connect", "back", "one");
    await ok("start", "one");
    expect(await addressOn("back", "one")).toMatch(/^10\.205\.0\./);
    await ok("stop", "-t", "0", "one");
    await ok("network", "disconnect", "front", "one");
    await ok("start", "one");
    expect(await ok("exec", "one", "ip", "-o", "-4", "addr")).not.toContain("10.204.");
  });

  test("stays on them when the daemon is killed, and off what it left", async () => {
    await run("one", "--network=front", "--network=back");
    await ok("network", "disconnect", "front", "one");
    await run("two", "--network=back");
    await daemon().kill();
    await daemon().start();
    expect(await reaches("two", await addressOn("back", "one"))).toBe(true);
    expect(await inspect("one", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}")).toBe("back");
    await ok("network", "connect", "front", "one");
    expect(await addressOn("front", "one")).toMatch(/^10\.204\.0\./);
  });

  test("published ports and the way out go by another network when theirs is left", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "web",
      "--network=front",
      "--network=back",
      "-p",
      "127.0.0.1:18471:80",
      "busybox",
      "httpd",
      "-f",
      "-p",
      "80",
      "-h",
      "/etc",
    );
    const answers = async (): Promise<string> => (await daemon().run(["curl", "-s", "-m", "2", "http://127.0.0.1:18471/hostname"])).stdout;
    await expect.poll(answers).not.toBe("");
    await ok("network", "disconnect", "back", "web");
    expect(await ok("exec", "web", "ip", "route")).toContain("default via 10.204.0.1");
    await expect.poll(answers).not.toBe("");
    expect(await ok("port", "web")).toBe("80/tcp -> 127.0.0.1:18471");
    await ok("network", "connect", "back", "web");
    expect(await ok("exec", "web", "ip", "route")).toContain("default via 10.205.0.1");
    await expect.poll(answers).not.toBe("");
    await ok("network", "disconnect", "back", "web");
    await ok("network", "disconnect", "front", "web");
    expect(await answers()).toBe("");
    await ok("network", "connect", "front", "web");
    await expect.poll(answers).not.toBe("");
  });

  test("off all of them, and on an internal one alone, has no way out", async () => {
    await ok("network", "create", "--internal", "inside");
    await run("one", "--network=front");
    await ok("network", "connect", "inside", "one");
    await ok("network", "disconnect", "front", "one");
    expect(await ok("exec", "one", "ip", "route")).not.toContain("default");
    await ok("network", "disconnect", "inside", "one");
    expect(await ok("exec", "one", "ip", "-o", "link")).not.toContain("eth");
    expect(await inspect("one", "{{json .NetworkSettings.Networks}}")).toBe("{}");
    await ok("restart", "-t", "0", "one");
    expect(await ok("exec", "one", "ip", "-o", "link")).not.toContain("eth");
    await ok("network", "connect", "back", "one");
    expect(await ok("exec", "one", "ip", "route")).toContain("default via 10.205.0.1");
  });

  test.each<[string, string[], string]>([
    ["twice", ["connect", "front", "one"], "endpoint with name one already exists in network front"],
    ["an address elsewhere", ["connect", "--ip=10.9.9.9", "back", "one"], "no configured subnet contains IP address 10.9.9.9"],
    ["an address that is taken", ["connect", "--ip=10.205.0.1", "back", "one"], "Address already in use"],
    ["a network that is not there", ["connect", "nosuch", "one"], "network nosuch not found"],
    ["a container that is not there", ["connect", "back", "nobody"], "No such container: nobody"],
    ["the host's network", ["connect", "host", "one"], "container cannot be disconnected from host network or connected to host network"],
    [
      "none",
      ["connect", "none", "one"],
      "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    ],
    ["off what it is not on", ["disconnect", "back", "one"], "is not connected to network back"],
  ])("refuses %s", async (_, args, why) => {
    await run("one", "--network=front");
    expect(await refused("network", ...args)).toContain(why);
  });

  test("refuses fixed addresses where no subnet was named", async () => {
    await ok("network", "create", "anywhere");
    expect(await refused("run", "--rm", "--network=anywhere", "--ip=172.18.0.9", "busybox", "true")).toContain(
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  });
});

describe("rm", () => {
  test("refuses one that is in use, naming who uses it; a container that does not run is no user", async () => {
    await ok("network", "create", "mine");
    await run("user", "--network=mine");
    expect(await refused("network", "rm", "mine")).toMatch(/network mine has active endpoints \(name:"user" id:"[0-9a-f]{12}"\)/);
    await ok("stop", "-t", "0", "user");
    await ok("network", "rm", "mine");
    expect(await refused("start", "user")).toContain("network mine not found");
  });

  test("refuses the predefined ones, and what is not there", async () => {
    expect(await refused("network", "rm", "bridge")).toContain("bridge is a pre-defined network and cannot be removed");
    expect(await refused("network", "rm", "nosuch")).toContain("network nosuch not found");
  });

  test("prune takes what nobody uses and the filters let through", async () => {
    await ok("network", "create", "--label=keep", "kept");
    await ok("network", "create", "used");
    await ok("network", "create", "unused");
    await run("user", "--network=used");
    expect(await ok("network", "prune", "-f", "--filter", "label!=keep")).toBe("Deleted Networks:\nunused");
    expect((await ok("network", "ls", "--format", "{{.Name}}")).split("\n")).toEqual(["bridge", "host", "kept", "none", "used"]);
  });
});

test("one that cannot be made at the daemon's start is no reason to go without the others, and is tried again", async () => {
  await ok("network", "create", "--opt=com.docker.network.bridge.name=ttblocked", "blocked");
  await ok("network", "create", "fine");
  await daemon().kill();
  await daemon().run(["ip", "link", "delete", "ttblocked"]);
  await daemon().run(["ip", "link", "add", "ttblocked", "type", "veth", "peer", "name", "ttblocker"]);
  await daemon().start();
  expect(await sh("--network=fine", "ip -4 -o addr")).toContain("eth0");
  expect(await refused("run", "--rm", "--network=blocked", "busybox", "true")).toContain("it is a network link of another kind");
  await daemon().run(["ip", "link", "delete", "ttblocked"]);
  expect(await sh("--network=blocked", "ip -4 -o addr")).toContain("eth0");
});

test("a prune of each kind is an event", async () => {
  const since = Date.now() / 1000;
  await ok("system", "prune", "-f", "--volumes");
  expect(await daemon().eventsSince(since, ["event=prune"], "{{.Type}}")).toEqual(["container", "network", "volume", "image", "builder"]);
});

test("events tell of it", async () => {
  const since = Date.now() / 1000;
  await ok("network", "create", "told");
  await run("one");
  await ok("network", "connect", "told", "one");
  await ok("network", "disconnect", "told", "one");
  await ok("network", "rm", "told");
  expect(await daemon().eventsSince(since, ["type=network", "network=told"], "{{.Action}}")).toEqual([
    "create",
    "connect",
    "disconnect",
    "destroy",
  ]);
});
