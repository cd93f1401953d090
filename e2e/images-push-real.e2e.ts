import { mkdirSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { IMAGE } from "./images/image.ts";
import { missingTools, openDebianRegistry, usePlace } from "./images/place.ts";
import { pull, removeImages } from "./images/pulls.ts";
import { push } from "./images/pushes.ts";
import { openScriptedRegistry, type ScriptedRegistry } from "./images/registry.ts";

/** Pushes to Debian's docker-registry, behind TLS and a password: what is there afterwards is what others read. */

const daemon = useDaemon();
const place = usePlace();
const missing = missingTools("docker-registry", "skopeo", "podman", "htpasswd", "openssl");
const AUTH = { username: "u", password: "p" };
let source: ScriptedRegistry;
let registry: Awaited<ReturnType<typeof openDebianRegistry>>;

describe.skipIf(missing.length > 0)("a registry behind TLS and a password", () => {
  beforeAll(async () => {
    source = await openScriptedRegistry();
    registry = await openDebianRegistry(place, { closed: true });
  });
  afterEach(() => removeImages(daemon()));
  afterAll(async () => {
    await source.close();
    await registry[Symbol.asyncDispose]();
  });

  const idOf = (name: string): Promise<string> => daemon().dockerOk("image", "inspect", "-f", "{{.Id}}", name);

  /** An image that came from elsewhere, and one that was made here. */
  async function bring(): Promise<string[]> {
    const from = source.put("origin:1", IMAGE);
    await pull(daemon(), from);
    const [pulled, made] = [`${registry.host}/team/pulled:1`, `${registry.host}/team/made:1`];
    await daemon().dockerOk("tag", from, pulled);
    await daemon().dockerOk(
      "run",
      "--name",
      "box",
      "busybox",
      "sh",
      "-c",
      "echo hi > /hi; rm /etc/group; ln -s hi /link; chown 5:6 /hi; chmod 4711 /hi",
    );
    await daemon().dockerOk("commit", "box", made);
    await daemon().dockerOk("rm", "box");
    return [pulled, made];
  }

  test("takes both, gives both back unchanged, and others read them", async () => {
    const names = await bring();
    const ids = await Promise.all(names.map(idOf));
    for (const name of names) expect((await push(daemon(), name, { auth: AUTH })).error).toBe("");
    await removeImages(daemon());
    for (const name of names) expect((await pull(daemon(), name, { auth: AUTH })).error).toBe("");
    expect(await Promise.all(names.map(idOf))).toEqual(ids);

    const credentials = ["--creds", "u:p", "--tls-verify=false"];
    for (const [at, name] of names.entries()) {
      // The shape is skopeo's.
      const { Digest } = JSON.parse(await place.tool(["skopeo", "inspect", ...credentials, `docker://${name}`])) as { Digest: string };
      expect(await daemon().dockerOk("image", "inspect", "-f", "{{json .RepoDigests}}", name)).toContain(`@${Digest}"`);
      const storage = ["podman", "--root", place.file("podman"), "--runroot", place.file("podman-run"), "--storage-driver", "vfs"];
      await place.tool([...storage, "pull", "-q", ...credentials, name]);
      expect(`sha256:${await place.tool([...storage, "image", "inspect", "-f", "{{.Id}}", name])}`).toBe(ids[at]);
      await place.tool([...storage, "rmi", "-f", name]);
    }
  });

  test("the CLI's login is what goes along; without one it is refused", async () => {
    const [name = ""] = await bring();
    expect((await daemon().docker("push", name)).stderr).toContain("no basic auth credentials");
    const folder = place.file("docker-config");
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/config.json`, JSON.stringify({ auths: { [registry.host]: { auth: Buffer.from("u:p").toString("base64") } } }));
    const pushed = await daemon().run([daemon().pathOf("docker"), "push", name], { env: { DOCKER_CONFIG: folder } });
    expect([pushed.code, pushed.stderr]).toEqual([0, ""]);
    expect((await push(daemon(), name, { auth: { ...AUTH, password: "wrong" } })).error).toBe("unauthorized: authentication required");
  });
});
