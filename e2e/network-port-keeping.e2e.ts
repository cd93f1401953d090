import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** Published ports while the daemon, or the keeper, is not there. */

const daemon = useDaemon({ privateNetwork: true });
const ok = (...args: string[]): Promise<string> => daemon().dockerOk(...args);

const serve = (name: string, ...options: string[]): Promise<string> =>
  ok("run", "-d", "--name", name, "--hostname", name, ...options, "busybox", "httpd", "-f", "-p", "80", "-h", "/etc");
/** What a client gets: the server's name, or curl's exit code (7: refused). */
const get = async (address: string): Promise<string | number> => {
  const { code, stdout } = await daemon().run(["curl", "-s", "-m", "2", "-g", `http://${address}/hostname`]);
  return code === 0 ? stdout.trim() : code;
};
/** What another program of the host gets that asks for a port. */
const bind = async (protocol: "tcp" | "udp", address: string, port: number): Promise<string> => {
  const open =
    protocol === "tcp"
      ? `require("net").createServer().listen(${port}, "${address}")`
      : `require("dgram").createSocket("${address.includes(":") ? "udp6" : "udp4"}").bind(${port}, "${address}")`;
  const script = `${open}.on("error", (e) => { console.log(e.code); process.exit(); }).on("listening", () => { console.log("taken"); process.exit(); })`;
  return (await daemon().run([process.execPath, "-e", script])).stdout.trim();
};
const binds = async (): Promise<string[]> => [
  await bind("tcp", "0.0.0.0", 8080),
  await bind("tcp", "::", 8080),
  await bind("udp", "0.0.0.0", 8053),
  await bind("udp", "::", 8053),
];
const busy = Array.from({ length: 4 }, () => "EADDRINUSE");
const free = Array.from({ length: 4 }, () => "taken");

test("nobody gets them while the daemon is down; what the kernel forwards goes on, the proxy refuses and then serves on", async () => {
  await serve("web", "-p", "8080:80", "-p", "8053:53/udp");
  await expect.poll(() => get("[::1]:8080")).toBe("web");
  await daemon().kill();
  await expect.poll(() => get("[::1]:8080")).toBe(7);
  expect(await get("127.0.0.1:8080")).toBe("web");
  expect(await binds()).toEqual(busy);
  await daemon().start();
  for (const address of ["[::1]:8080", "127.0.0.1:8080"]) expect(await get(address)).toBe("web");
  expect(await binds()).toEqual(busy);
  await ok("rm", "-f", "web");
  expect(await binds()).toEqual(free);
});

test("nor when the keeper died before", async () => {
  await serve("web", "-p", "8080:80", "-p", "8053:53/udp");
  await daemon().killKeeper();
  await expect.poll(async () => (await daemon().docker("exec", "web", "true")).code).toBe(0);
  expect(await get("[::1]:8080")).toBe("web");
  await daemon().kill();
  expect(await binds()).toEqual(busy);
  await daemon().start();
  expect(await get("[::1]:8080")).toBe("web");
});

test("those of a container that ended meanwhile are free again with the next daemon", async () => {
  await serve("web", "-p", "8080:80", "-p", "8053:53/udp");
  const pid = await ok("inspect", "-f", "{{.State.Pid}}", "web");
  await daemon().kill();
  await daemon().run(["kill", "-9", pid]);
  await daemon().start();
  await expect.poll(binds).toEqual(free);
});
