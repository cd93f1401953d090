import { beforeEach, describe, expect, test, vi } from "vitest";

import { useDaemon } from "./harness.ts";

/** Names on user-defined networks by the stock CLI. */

const daemon = useDaemon();
const ok = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const run = (name: string, ...options: string[]): Promise<string> =>
  ok("run", "-d", "--name", name, ...options, "busybox", "sleep", "1000");
const addressOn = (network: string, name: string): Promise<string> =>
  ok("inspect", "-f", `{{with index .NetworkSettings.Networks "${network}"}}{{.IPAddress}}{{end}}`, name);

/** The addresses that a name has for a container; none when it has none. */
async function lookUp(from: string, name: string): Promise<string[]> {
  const { stdout } = await daemon().docker("exec", from, "nslookup", "-type=a", name);
  return [...stdout.matchAll(/^Address: (.+)$/gm)].map(([, address = ""]) => address).toSorted();
}
/** Dead servers of the machine that runs this test must not be asked: containers here have one that refuses at once. */
const REFUSING = "--dns=127.0.0.1";

beforeEach(async () => {
  await ok("network", "create", "front");
  await ok("network", "create", "back");
});

test("resolv.conf names the container's own server; on the default network the host's", async () => {
  await run("web", "--network=front", "--dns=192.0.2.53", "--dns-search=example.com", "--dns-option=ndots:1");
  await run("db", "--network=front", "--dns=192.0.2.53");
  await run("old", "--dns=192.0.2.53");
  const lines = async (name: string): Promise<string[]> => (await ok("exec", name, "cat", "/etc/resolv.conf")).split("\n").slice(3);
  expect(await lines("web")).toEqual([
    "nameserver 127.0.0.11",
    "search example.com",
    "options ndots:1",
    "",
    expect.stringMatching(/^# Based on host file: '.*' \(internal resolver\)$/),
    "# ExtServers: [192.0.2.53]",
    "# Overrides: [nameservers search options]",
    "# Option ndots from: override",
  ]);
  expect(await lines("db")).toEqual(expect.arrayContaining(["nameserver 127.0.0.11", "# Option ndots from: internal"]));
  expect(await lines("old")).toContain("nameserver 192.0.2.53");
});

describe("containers find each other", () => {
  test("by name, alias, short id and hostname, and by the network's name; only on their own networks", async () => {
    const id = await run("web", "--network=front", "--network-alias=www", "--hostname=shop", REFUSING);
    await run("db", "--network=back", REFUSING);
    await run("both", "--network=front", "--network=back", REFUSING);
    const web = await addressOn("front", "web");
    for (const name of ["web", "www", "shop", "WEB", "web.front", id.slice(0, 12)]) expect(await lookUp("both", name)).toEqual([web]);
    expect(await lookUp("both", "db")).toEqual([await addressOn("back", "db")]);
    expect(await lookUp("web", "db")).toEqual([]);
    expect(await lookUp("db", "web")).toEqual([]);
    expect(await lookUp("both", "web.back")).toEqual([]);
    expect(await ok("exec", "both", "nslookup", web)).toContain("web.front");
  });

  test("and reach each other by it: a web server", async () => {
    await run("web", "--network=front", REFUSING);
    await ok("exec", "web", "sh", "-c", "mkdir /www; echo hello > /www/index.html; httpd -p 80 -h /www");
    await run("client", "--network=front", REFUSING);
    const page = await ok("exec", "client", "sh", "-c", "wget -qO- http://$(nslookup -type=a web | sed -n 's/^Address: //p')/");
    expect(page).toBe("hello");
  });

  test("several with one alias: all are told, each first at times", async () => {
    for (const name of ["one", "two", "three"]) await run(name, "--network=front", "--network-alias=www", REFUSING);
    const addresses = async (...names: string[]): Promise<string[]> =>
      (await Promise.all(names.map((name) => addressOn("front", name)))).toSorted();
    expect(await lookUp("one", "www")).toEqual(await addresses("one", "two", "three"));
    await vi.waitFor(async () => {
      const firsts = await ok(
        "exec",
        "one",
        "sh",
        "-c",
        "for i in $(seq 20); do nslookup -type=a www | sed -n 's/^Address: //p' | head -1; done",
      );
      expect(new Set(firsts.split("\n")).size).toBe(3);
    }, 10_000);
    await ok("rm", "-f", "two");
    expect(await lookUp("one", "www")).toEqual(await addresses("one", "three"));
  });

  test("a link is a name for one container alone", async () => {
    await run("web", "--network=front", REFUSING);
    await run("client", "--network=front", "--link=web:shop", REFUSING);
    expect(await lookUp("client", "shop")).toEqual([await addressOn("front", "web")]);
    expect(await lookUp("web", "shop")).toEqual([]);
  });

  test("by IPv6 addresses where the network has them", async () => {
    await ok("network", "create", "--ipv6", "both-families");
    await run("web", "--network=both-families", REFUSING);
    await run("client", "--network=both-families", REFUSING);
    const address = await ok("inspect", "-f", '{{(index .NetworkSettings.Networks "both-families").GlobalIPv6Address}}', "web");
    expect(await ok("exec", "client", "nslookup", "-type=aaaa", "web")).toContain(`Address: ${address}`);
    expect(await ok("exec", "client", "nslookup", address)).toContain("name = web.both-families");
    expect(await lookUp("client", "web")).toEqual([await addressOn("both-families", "web")]);
  });

  test("one that shares another's network asks its server", async () => {
    await run("web", "--network=front", REFUSING);
    await run("beside", "--network=container:web");
    expect(await lookUp("beside", "web")).toEqual([await addressOn("front", "web")]);
  });
});

describe("what changes is known at once", () => {
  beforeEach(async () => {
    await run("web", "--network=front", REFUSING);
    await run("client", "--network=front", REFUSING);
  });

  test("another name", async () => {
    const address = await addressOn("front", "web");
    await ok("rename", "web", "shop");
    expect(await lookUp("client", "shop")).toEqual([address]);
    expect(await lookUp("client", "web")).toEqual([]);
    expect(await ok("exec", "client", "nslookup", address)).toContain("shop.front");
  });

  test("another network, and off it", async () => {
    await run("db", "--network=back", REFUSING);
    await ok("network", "connect", "--alias=store", "--link=db:rows", "back", "client");
    expect(await lookUp("client", "db")).toEqual([await addressOn("back", "db")]);
    expect(await lookUp("client", "rows")).toEqual([await addressOn("back", "db")]);
    expect(await lookUp("db", "store")).toEqual([await addressOn("back", "client")]);
    await ok("network", "disconnect", "back", "client");
    expect(await lookUp("client", "db")).toEqual([]);
    expect(await lookUp("db", "store")).toEqual([]);
    expect(await lookUp("client", "web")).toEqual([await addressOn("front", "web")]);
  });

  test("one that is restarted, with another address", async () => {
    await ok("stop", "-t0", "web");
    expect(await lookUp("client", "web")).toEqual([]);
    await run("takes-the-address", "--network=front");
    await ok("start", "web");
    expect(await lookUp("client", "web")).toEqual([await addressOn("front", "web")]);
  });

  test("one of the default network gets its own server when it is connected, and keeps it", async () => {
    await run("old", REFUSING);
    expect(await ok("exec", "old", "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11");
    await ok("network", "connect", "front", "old");
    expect(await ok("exec", "old", "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11\n");
    expect(await lookUp("old", "web")).toEqual([await addressOn("front", "web")]);
    await ok("network", "disconnect", "front", "old");
    expect(await ok("exec", "old", "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11\n");
    expect(await lookUp("old", "web")).toEqual([]);
  });

  test("a resolv.conf that somebody changed stays", async () => {
    await run("old", REFUSING);
    await ok("exec", "old", "sh", "-c", "echo '# mine' >> /etc/resolv.conf");
    const before = await ok("exec", "old", "cat", "/etc/resolv.conf");
    await ok("network", "connect", "front", "old");
    expect(await ok("exec", "old", "cat", "/etc/resolv.conf")).toBe(before);
    expect((await ok("exec", "old", "nslookup", "-type=a", "web", "127.0.0.11")).includes(await addressOn("front", "web"))).toBe(true);
  });
});

describe("when the daemon is killed", () => {
  test("the next one serves all again: those who run, by names and links, and nobody else's", async () => {
    await run("web", "--network=front", "--network-alias=www", REFUSING);
    await run("client", "--network=front", "--network=back", "--link=web:shop", REFUSING);
    await run("gone", "--network=front", REFUSING);
    await run("old", REFUSING);
    await ok("network", "connect", "front", "old");
    await ok("network", "disconnect", "front", "old");
    const pid = Number(await ok("inspect", "-f", "{{.State.Pid}}", "gone"));
    await daemon().kill();
    process.kill(pid, "SIGKILL");
    await daemon().start();
    const web = await addressOn("front", "web");
    for (const name of ["web", "www", "shop"]) expect(await lookUp("client", name)).toEqual([web]);
    expect(await lookUp("client", "gone")).toEqual([]);
    expect(await lookUp("old", "web")).toEqual([]);
    expect((await daemon().docker("exec", "old", "nslookup", "web")).stdout).toContain("SERVFAIL");
    await run("new", "--network=front", REFUSING);
    expect(await lookUp("client", "new")).toEqual([await addressOn("front", "new")]);
  });

  test("a question that was asked meanwhile is answered when it is back", async () => {
    await run("web", "--network=front", REFUSING);
    await run("client", "--network=front", REFUSING);
    const [web, pid] = [await addressOn("front", "web"), await ok("inspect", "-f", "{{.State.Pid}}", "client")];
    await daemon().kill();
    const asking = daemon().run(["nsenter", "-t", pid, "-m", "-n", "--", "nslookup", "-type=a", "web"]);
    await daemon().start();
    expect((await asking).stdout).toContain(`Address: ${web}\n`);
  });
});
