import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll } from "vitest";

import { run, type RunOptions } from "../../src/testing/run.ts";

/** A folder for what a test file makes, the tools that make images, and Debian's own registry. */
export interface Place {
  readonly folder: string;
  file(name: string): string;
  /** Runs a tool; its standard output, trimmed. Throws when it fails. */
  tool(command: string[], options?: RunOptions): Promise<string>;
}

/** One for all tests of a file; it is there while they run. */
export function usePlace(): Place {
  const folder = `/tmp/tsubo-e2e-images-${randomBytes(6).toString("hex")}`;
  beforeAll(() => mkdirSync(folder));
  // Not by Node's rm: names of a tree need not be UTF-8.
  afterAll(async () => void (await run(["rm", "-rf", folder])));
  return {
    folder,
    file: (name) => path.join(folder, name),
    async tool(command, options) {
      const done = await run(command, options);
      if (done.code !== 0) throw new Error(`${command.join(" ")} exited with ${done.code}:\n${done.stderr}${done.stdout}`);
      return done.stdout.trim();
    },
  };
}

/** Programs that a test cannot do without; those that are missing. */
export function missingTools(...names: string[]): string[] {
  const folders = (process.env["PATH"] ?? "").split(":");
  return names.filter((name) => !folders.some((folder) => existsSync(path.join(folder, name))));
}

/**
 * A small Debian with all that a package manager can put into a tree, setuid programs and file capabilities too. Undefined where no mirror
 * can be reached.
 */
export async function makeDebian(place: Place): Promise<string | undefined> {
  const { suite, mirror } = debianSource();
  const root = place.file("debian");
  const source = `deb ${mirror} ${suite} main`;
  try {
    await place.tool(["mmdebstrap", "--variant=essential", "--include=iputils-ping", suite, root, source], { timeoutMs: 110_000 });
    return root;
  } catch (error) {
    if (/Could not (?:resolve|connect)|Temporary failure resolving|Unable to connect|Network is unreachable/.test(String(error)))
      return undefined;
    throw error;
  }
}

/** The suite and mirror that this machine's own packages come from. */
function debianSource(): { suite: string; mirror: string } {
  const release = readFileSync("/etc/os-release", "utf8");
  const own = /^ID=debian$/m.test(release) ? /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] : undefined;
  const suite = own ?? "bookworm";
  const folder = "/etc/apt/sources.list.d";
  const files = ["/etc/apt/sources.list", ...(existsSync(folder) ? readdirSync(folder) : []).map((name) => path.join(folder, name))];
  const text = files.filter((file) => existsSync(file)).map((file) => readFileSync(file, "utf8"));
  const oneLine = new RegExp(String.raw`^deb (?:\[.*\] )?(\S+) ${suite} `, "m");
  const stanza = new RegExp(String.raw`^URIs: *(\S+)\n(?:\S.*\n)*Suites: *(?:\S+ )*${suite}(?: |\n)`, "m");
  const found = text.map((content) => oneLine.exec(content) ?? stanza.exec(content)).find((match) => match !== null);
  if (found?.[1] === undefined) throw new Error(`apt's sources on this machine name no mirror of ${suite}`);
  return { suite, mirror: found[1] };
}

/** Debian's `docker-registry` on loopback; `HOST:PORT`. `closed`: behind TLS, and open to the user `u` with the password `p` only. */
export async function openDebianRegistry(place: Place, { closed = false } = {}): Promise<{ host: string } & AsyncDisposable> {
  const host = `127.0.0.1:${await freePort()}`;
  const config = place.file("registry.yml");
  const [key, certificate] = [place.file("registry.key"), place.file("registry.crt")];
  if (closed) {
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    await place.tool([
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      ...subject,
      "-keyout",
      key,
      "-out",
      certificate,
    ]);
    writeFileSync(place.file("users"), await place.tool(["htpasswd", "-Bbn", "u", "p"]));
  }
  writeFileSync(
    config,
    `version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: ${place.file("registry")}}}
http: {addr: "${host}"${closed ? `, tls: {certificate: ${certificate}, key: ${key}}` : ""}}
${closed ? `auth: {htpasswd: {realm: test, path: ${place.file("users")}}}` : ""}
`,
  );
  const server = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("close", resolve));
  const deadlineMs = Date.now() + 20_000;
  while (!(await answers(place, `${closed ? "https" : "http"}://${host}/v2/`))) {
    if (Date.now() > deadlineMs || server.exitCode !== null) throw new Error(`docker-registry does not answer on ${host}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    host,
    async [Symbol.asyncDispose]() {
      server.kill("SIGKILL");
      await ended;
      rmSync(place.file("registry"), { recursive: true });
    },
  };
}

/** With whatever status. */
async function answers(place: Place, url: string): Promise<boolean> {
  return place.tool(["curl", "-sk", "-o", "/dev/null", url]).then(
    () => true,
    () => false,
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      // A TCP server's address is one.
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
