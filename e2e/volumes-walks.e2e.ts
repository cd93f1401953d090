import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { dataOf, makeImage, namesOf } from "./volumes/volumes.ts";

/** Storage as people are taught it, walk by walk: web servers on data of the host, of volumes, of volume containers; backup, move, destroy. */

const daemon = useDaemon();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const HTDOCS = "/usr/local/web/htdocs";
const SERVE = ["busybox", "httpd", "-f", "-h", HTDOCS];

/** The page of a container's web server, asked from the host. */
async function pageOf(container: string, page = "index.html"): Promise<string> {
  const address = await docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", container);
  const deadline = AbortSignal.timeout(5000);
  for (;;) {
    try {
      const answer = await fetch(`http://${address}/${page}`, { signal: deadline });
      return (await answer.text()).trim();
    } catch (error) {
      // It is not listening yet.
      if (deadline.aborted) throw error;
    }
  }
}

let http: string;
beforeEach(() => {
  http = mkdtempSync("/var/tmp/tsubo-http-");
  writeFileSync(`${http}/index.html`, "My test bind mount\n");
});
afterEach(() => {
  rmSync(http, { recursive: true, force: true });
});

test("a folder of the host under a web server, live on both sides; read-only", async () => {
  await docker("run", "-d", "--name", "web", "-v", `${http}/:${HTDOCS}`, ...SERVE);
  expect(await pageOf("web")).toBe("My test bind mount");
  writeFileSync(`${http}/index.html`, "My test bind mount test_2\n");
  expect(await pageOf("web")).toBe("My test bind mount test_2");
  await docker("exec", "web", "sh", "-c", `echo from inside > ${HTDOCS}/index.html`);
  expect(readFileSync(`${http}/index.html`, "utf8")).toBe("from inside\n");

  await docker("run", "-d", "--name", "readonly", "-v", `${http}/:${HTDOCS}:ro`, ...SERVE);
  const written = await daemon().docker("exec", "readonly", "sh", "-c", `echo x > ${HTDOCS}/index.html`);
  expect([written.code, written.stderr]).toEqual([1, expect.stringContaining("Read-only file system")]);
  expect(await pageOf("readonly")).toBe("from inside");
});

test("a single file", async () => {
  await makeImage(daemon(), "server", [
    { name: `${HTDOCS.slice(1)}/index.html`, content: "image" },
    { name: `${HTDOCS.slice(1)}/other.html`, content: "image's other" },
  ]);
  await docker("run", "-d", "--name", "web", "-v", `${http}/index.html:${HTDOCS}/index.html`, "server", ...SERVE.slice(1));
  expect(await pageOf("web")).toBe("My test bind mount");
  expect(await pageOf("web", "other.html")).toBe("image's other");
  writeFileSync(`${http}/index.html`, "changed\n");
  expect(await pageOf("web")).toBe("changed");
});

test("a managed volume has the image's content, and what the host writes there is served", async () => {
  await makeImage(daemon(), "server", [{ name: `${HTDOCS.slice(1)}/index.html`, content: "It works!" }]);
  await docker("run", "-d", "--name", "web", "-v", HTDOCS, "server", ...SERVE.slice(1));
  const [mount] = JSON.parse(await docker("inspect", "-f", "{{json .Mounts}}", "web")) as { Name: string; Source: string }[];
  expect(await namesOf(daemon())).toEqual([mount?.Name]);
  expect(await pageOf("web")).toBe("It works!");
  writeFileSync(path.join(mount?.Source ?? "", "index.html"), "updated from the host\n");
  expect(await pageOf("web")).toBe("updated from the host");
});

test("three web servers on one folder of the host", async () => {
  const names = ["web1", "web2", "web3"];
  for (const name of names) await docker("run", "-d", "--name", name, "-v", `${http}:${HTDOCS}`, ...SERVE);
  expect(await Promise.all(names.map((name) => pageOf(name)))).toEqual(names.map(() => "My test bind mount"));
  writeFileSync(`${http}/index.html`, "for all\n");
  expect(await Promise.all(names.map((name) => pageOf(name)))).toEqual(names.map(() => "for all"));
});

test("a volume container that never runs lends binds and volumes to others", async () => {
  await docker("create", "--name", "vc_data", "-v", `${http}:${HTDOCS}`, "-v", "/other/useful/tools", "busybox");
  for (const name of ["web1", "web2", "web3"]) await docker("run", "-d", "--name", name, "--volumes-from", "vc_data", ...SERVE);
  expect(await pageOf("web3")).toBe("My test bind mount");
  await docker("exec", "web1", "touch", "/other/useful/tools/hammer");
  expect(await docker("exec", "web2", "ls", "/other/useful/tools")).toBe("hammer");
  const mountsOf = async (name: string): Promise<string[]> =>
    (await docker("inspect", "-f", "{{range .Mounts}}{{.Source}}:{{.Destination}} {{end}}", name)).split(" ").filter(Boolean).toSorted();
  expect(await mountsOf("web1")).toEqual(await mountsOf("vc_data"));
  expect(await docker("inspect", "-f", "{{.State.Status}}", "vc_data")).toBe("created");
  await docker("rm", "-v", "vc_data");
  expect(await docker("exec", "web2", "ls", "/other/useful/tools")).toBe("hammer");
});

test("a data-packed volume container: ADD and VOLUME", async () => {
  await makeImage(daemon(), "datapacked", [], `RUN mkdir -p ${HTDOCS} && echo packed > ${HTDOCS}/index.html\nVOLUME ${HTDOCS}`);
  await docker("create", "--name", "vc_data", "datapacked");
  await docker("run", "-d", "--name", "web", "--volumes-from", "vc_data", ...SERVE);
  expect(await pageOf("web")).toBe("packed");
});

test("backup and restore through temporary containers and tar, and into another container", async () => {
  const backup = mkdtempSync("/var/tmp/tsubo-backup-");
  await docker("run", "-d", "--name", "registry", "-v", "/var/lib/registry", "busybox", "sh", "-c", STORE);
  await expect.poll(async () => (await daemon().docker("exec", "registry", "cat", "/var/lib/registry/a/b")).stdout).toBe("blob\n");
  const tarball = ["tar", "cf", "/backup/backup.tar", "-C", "/", "var/lib/registry"];
  await docker("run", "--rm", "--volumes-from", "registry", "-v", `${backup}:/backup`, "busybox", ...tarball);
  expect(readdirSync(backup)).toEqual(["backup.tar"]);

  await docker("exec", "registry", "rm", "-r", "/var/lib/registry/a");
  const restore = ["tar", "xf", "/backup/backup.tar", "-C", "/"];
  await docker("run", "--rm", "--volumes-from", "registry", "-v", `${backup}:/backup`, "busybox", ...restore);
  expect(await docker("exec", "registry", "cat", "/var/lib/registry/a/b")).toBe("blob");

  await docker("create", "--name", "another", "-v", "fresh:/var/lib/registry", "busybox");
  await docker("run", "--rm", "--volumes-from", "another", "-v", `${backup}:/backup`, "busybox", ...restore);
  const stat = "stat -c '%a %u:%g %n' /var/lib/registry/a/b";
  expect(await docker("run", "--rm", "--volumes-from", "another:ro", "busybox", "sh", "-c", stat)).toBe("640 7:8 /var/lib/registry/a/b");
  rmSync(backup, { recursive: true });
});

test("to move to a newer version, a container of the new image takes the old one's data over", async () => {
  await docker(
    "run",
    "-d",
    "--name",
    "old",
    "-v",
    `${http}:/data`,
    "-v",
    "state:/state",
    "busybox",
    "sh",
    "-c",
    "echo v1 > /state/by; sleep 1000",
  );
  await expect.poll(async () => (await daemon().docker("exec", "old", "cat", "/state/by")).stdout).toBe("v1\n");
  await docker("stop", "-t", "0", "old");
  await docker("run", "-d", "--name", "new", "--volumes-from", "old", "busybox", "sleep", "1000");
  expect(await docker("exec", "new", "cat", "/state/by", "/data/index.html")).toBe("v1\nMy test bind mount");
  await docker("rm", "-v", "old");
  expect(await docker("exec", "new", "cat", "/state/by")).toBe("v1");
});

test("destroy: the host's folders stay, volumes go by hand or with -v", async () => {
  await docker("create", "--name", "box", "-v", `${http}:/host`, "-v", "/managed", "-v", "named:/named", "busybox", "true");
  await docker("rm", "-v", "box");
  expect(readFileSync(`${http}/index.html`, "utf8")).toBe("My test bind mount\n");
  expect(await namesOf(daemon())).toEqual(["named"]);

  await docker("create", "--name", "again", "-v", "/left", "busybox", "true");
  await docker("rm", "again");
  await docker("volume", "create");
  const orphans = await namesOf(daemon(), "-f", "dangling=true");
  expect(orphans).toHaveLength(3);
  const removed = await daemon().run(["sh", "-c", "docker volume rm $(docker volume ls -q)"]);
  expect([removed.code, removed.stdout.trim().split("\n").toSorted()]).toEqual([0, orphans.toSorted()]);
  expect(await namesOf(daemon())).toEqual([]);
  expect(readdirSync(path.dirname(path.dirname(dataOf(daemon(), "x"))))).toEqual([]);
});

test("a folder of the host that is not there is made by -v, owned by root, and not by --mount", async () => {
  const missing = `${http}/made/below`;
  await docker("run", "--rm", "-v", `${missing}:/x`, "busybox", "touch", "/x/file");
  expect(readdirSync(missing)).toEqual(["file"]);
  const { code, stderr } = await daemon().docker("run", "--rm", "--mount", `type=bind,src=${http}/no,dst=/x`, "busybox", "true");
  expect([code, stderr]).toEqual([
    125,
    expect.stringContaining(`invalid mount config for type "bind": bind source path does not exist: ${http}/no`),
  ]);
  mkdirSync(`${http}/no`);
  expect((await daemon().docker("run", "--rm", "--mount", `type=bind,src=${http}/no,dst=/x`, "busybox", "true")).code).toBe(0);
});

const STORE =
  "mkdir /var/lib/registry/a; echo blob > /var/lib/registry/a/b; chmod 640 /var/lib/registry/a/b; chown 7:8 /var/lib/registry/a/b; sleep 1000";
