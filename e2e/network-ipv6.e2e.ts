import { describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** IPv6 and closed networks by the stock CLI, on a host of its own: the default network has both, others what they are made with. */

const daemon = useDaemon({ privateNetwork: true, flags: ["--ipv6", "--fixed-cidr-v6=fd00:99::/64", "--icc=false"] });
const ok = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const SERVER = ["busybox", "sh", "-c", "mkdir /www; hostname > /www/name; exec httpd -f -p 80 -h /www"];
const serve = (name: string, ...options: string[]): Promise<string> =>
  ok("run", "-d", "--name", name, "--hostname", name, ...options, ...SERVER);
const settings = async (name: string, network: string): Promise<Record<string, unknown>> =>
  // The engine's own JSON.
  (JSON.parse(await ok("inspect", "-f", "{{json .NetworkSettings.Networks}}", name)) as Record<string, Record<string, unknown>>)[network] ??
  {};
/** What the host, or a container, gets of a server. */
const get = async (url: string): Promise<string> => (await daemon().run(["curl", "-sS", "-m", "2", "-g", `${url}/name`])).stdout.trim();
const getFrom = async (name: string, url: string): Promise<string> =>
  (await daemon().docker("exec", name, "timeout", "2", "wget", "-q", "-O", "-", `${url}/name`)).stdout.trim();

describe("the default network", () => {
  test("gives containers an address of its IPv6 subnet and publishes their ports on both families", async () => {
    await serve("web", "-p", "8080:80");
    expect(await settings("web", "bridge")).toMatchObject({
      GlobalIPv6Address: "fd00:99::2",
      GlobalIPv6PrefixLen: 64,
      IPv6Gateway: "fd00:99::1",
    });
    expect(await ok("exec", "web", "cat", "/etc/hosts")).toContain("fd00:99::2\tweb");
    for (const host of ["[fd00:99::2]:80", "[::1]:8080", "[fd00:99::1]:8080", "127.0.0.1:8080"])
      await expect.poll(() => get(host), { message: host }).toBe("web");
    expect(await ok("port", "web")).toBe("80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080");
  });

  test("is closed but where containers are linked", async () => {
    await serve("web", "--expose", "80");
    const address = String((await settings("web", "bridge"))["IPAddress"]);
    await ok("run", "-d", "--name", "friend", "--link", "web", "busybox", "sleep", "1000");
    await ok("run", "-d", "--name", "stranger", "busybox", "sleep", "1000");
    await expect.poll(() => getFrom("friend", "web")).toBe("web");
    expect(await getFrom("stranger", address)).toBe("");
    expect(await getFrom("stranger", "[fd00:99::2]")).toBe("");
    await ok("restart", "-t", "0", "web");
    await expect.poll(() => getFrom("friend", "web")).toBe("web");
  });
});

describe("a network made with --ipv6", () => {
  test("has a local subnet of its own, whose addresses may be asked for", async () => {
    await ok("network", "create", "--ipv6", "local");
    const [v4, v6] = JSON.parse(await ok("network", "inspect", "-f", "{{json .IPAM.Config}}", "local")) as { Subnet: string }[];
    expect(v4?.Subnet).toMatch(/^172\.\d+\.0\.0\/16$/);
    expect(v6?.Subnet).toMatch(/^fd[0-9a-f]{2}:.*\/64$/);
    expect(await ok("network", "inspect", "-f", "{{.EnableIPv6}}", "local")).toBe("true");

    await ok("network", "create", "--ipv6", "--subnet=fd00:98::/64", "mine");
    await serve("web", "--network=mine", "--ip6=fd00:98::77");
    await ok("run", "-d", "--name", "other", "--network=mine", "busybox", "sleep", "1000");
    expect(await settings("web", "mine")).toMatchObject({ GlobalIPv6Address: "fd00:98::77" });
    await expect.poll(() => getFrom("other", "[fd00:98::77]")).toBe("web");
    expect(await ok("network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{.IPv6Address}} {{end}}", "mine")).toContain(
      "web fd00:98::77/64",
    );
    const refused = await daemon().docker("run", "--rm", "--network=mine", "--ip6=fd00:98::77", "busybox", "true");
    expect(refused.stderr).toContain("Address already in use");
    const outside = await daemon().docker("run", "--rm", "--network=mine", "--ip6=fd00:97::77", "busybox", "true");
    expect(outside.stderr).toContain("no configured subnet contains IP address fd00:97::77");
  });

  test("serves on when the daemon is killed and starts again, and a container is taken off and put on it", async () => {
    await ok("network", "create", "--ipv6", "--subnet=fd00:96::/64", "six");
    await serve("web", "--network=six", "-p", "8080:80");
    await daemon().kill();
    await expect.poll(() => get("[fd00:96::1]:8080")).toBe("web");
    await daemon().start();
    for (const host of ["[fd00:96::2]:80", "[fd00:96::1]:8080", "[::1]:8080"])
      await expect.poll(() => get(host), { message: host }).toBe("web");
    await ok("network", "disconnect", "six", "web");
    expect(await ok("exec", "web", "ip", "-6", "addr", "show", "scope", "global")).toBe("");
    await ok("network", "connect", "--ip6=fd00:96::9", "six", "web");
    for (const host of ["[fd00:96::9]:80", "[fd00:96::1]:8080"]) await expect.poll(() => get(host), { message: host }).toBe("web");
  });

  test("may go without IPv4", async () => {
    const created = await daemon().api("POST", "/networks/create", {
      Name: "six",
      EnableIPv4: false,
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: "fd00:95::/64" }] },
    });
    expect(created.status).toBe(201);
    await serve("web", "--network=six", "-p", "8080:80");
    expect(await settings("web", "six")).toMatchObject({ IPAddress: "", IPPrefixLen: 0, GlobalIPv6Address: "fd00:95::2" });
    for (const host of ["[fd00:95::2]:80", "[fd00:95::1]:8080", "[::1]:8080", "127.0.0.1:8080"])
      await expect.poll(() => get(host), { message: host }).toBe("web");
    expect(await ok("port", "web")).toBe("80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080");
  });
});
