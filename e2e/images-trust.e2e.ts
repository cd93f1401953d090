import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { openTestDaemon } from "../src/testing/daemon.ts";
import type { Output } from "../src/testing/run.ts";
import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { makeImage } from "./images/image.ts";
import { missingTools, usePlace } from "./images/place.ts";
import { imageTags, pull, removeImages } from "./images/pulls.ts";
import { push } from "./images/pushes.ts";
import { openProxy } from "./images/proxy.ts";
import { openScriptedRegistry, refuse, type Script, type ScriptedRegistry } from "./images/registry.ts";

/** Who is let in, who gets to see a password, and whose word is taken for it that a registry is the one it claims to be. */

const daemon = useDaemon();
const place = usePlace();
let registry: ScriptedRegistry;
/** A host that the registry names. */
let other: ScriptedRegistry;

beforeAll(async () => {
  registry = await openScriptedRegistry();
  other = await openScriptedRegistry();
});
afterEach(async () => {
  registry.heal();
  other.heal();
  await removeImages(daemon());
});
afterAll(async () => {
  await registry.close();
  await other.close();
});

const CERTIFICATES = "/etc/tsubo/certs.d";
const IMAGE = makeImage([tar({ name: "file", content: "content" })]);
const PASSWORD = "s3cret:with/odd=bytes";
const BASIC = `Basic ${Buffer.from(`user:${PASSWORD}`).toString("base64")}`;

/** `docker pull` by somebody who has logged in. */
function pullAs(reference: string, password = PASSWORD): Promise<Output> {
  const auth = Buffer.from(`user:${password}`).toString("base64");
  const folder = place.file("docker-config");
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/config.json`, JSON.stringify({ auths: { [registry.host]: { auth } } }));
  return daemon().run([daemon().pathOf("docker"), "pull", reference], { env: { DOCKER_CONFIG: folder } });
}

/** Lets in only who has this header; others get the challenge. */
function guard(authorization: string, challenge: string): Script {
  return (request, response) => {
    if (!request.path.startsWith("/v2/") || request.headers.authorization === authorization) return false;
    refuse(response, 401, "UNAUTHORIZED", { "www-authenticate": challenge });
    return true;
  };
}

describe("basic authentication", () => {
  beforeAll(() => registry.put("private", IMAGE));

  test("the right password opens, and is in no log", async () => {
    registry.script(guard(BASIC, 'Basic realm="r"'));
    expect((await pullAs(`${registry.host}/private`)).code).toBe(0);
    const log = daemon().logTail(100_000);
    for (const secret of [PASSWORD, BASIC.slice(6)]) expect(log).not.toContain(secret);
  });

  test("a wrong one, and none, is refused in Docker's words", async () => {
    registry.script(guard(BASIC, 'Basic realm="r"'));
    const url = `http://${registry.host}/v2/private/manifests/latest`;
    expect(await pullAs(`${registry.host}/private`, "wrong")).toMatchObject({
      code: 1,
      stderr: "Error response from daemon: unauthorized: unauthorized\n",
    });
    expect((await pull(daemon(), `${registry.host}/private:latest`)).error).toBe(`500 Head "${url}": no basic auth credentials`);
  });
});

describe("docker login", () => {
  const logIn = (password: string): Promise<Output> =>
    daemon().run([daemon().pathOf("docker"), "login", "-u", "user", "--password-stdin", registry.host], {
      input: password,
      env: { DOCKER_CONFIG: place.file("login") },
    });

  test("stores what the registry lets in, for the pull that follows", async () => {
    const reference = registry.put("private", IMAGE);
    registry.script(guard(BASIC, 'Basic realm="r"'));
    expect((await logIn(PASSWORD)).stdout).toContain("Login Succeeded");
    const pulled = await daemon().run([daemon().pathOf("docker"), "pull", reference], { env: { DOCKER_CONFIG: place.file("login") } });
    expect(pulled.code).toBe(0);
  });

  test("tells a wrong password", async () => {
    registry.script(guard(BASIC, 'Basic realm="r"'));
    expect(await logIn("wrong")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`login attempt to http://${registry.host}/v2/ failed with status: 401 Unauthorized`),
    });
    expect((await daemon().api("POST", "/auth", { username: "user", password: "wrong", serveraddress: registry.host })).status).toBe(401);
  });
});

describe("tokens", () => {
  const challengeOf = (realm: string): string => `Bearer realm="${realm}",service="the service",scope="repository:private:pull"`;
  /** A token server: gives the token to who has the password. */
  const tokenServer: Script = (request, response) => {
    if (!request.path.startsWith("/token?")) return false;
    if (request.headers.authorization === BASIC) response.end(JSON.stringify({ token: "the-token" }));
    else refuse(response, 401, "UNAUTHORIZED");
    return true;
  };

  test("are fetched with the password, for this repository, and shown to nobody but the registry", async () => {
    const reference = registry.put("private", IMAGE);
    registry.script(guard("Bearer the-token", challengeOf(`http://${registry.host}/token`)));
    registry.script(tokenServer);
    expect((await pullAs(reference)).code).toBe(0);
    const asked = registry.requests.find(({ path }) => path.startsWith("/token?"));
    expect(Object.fromEntries(new URL(asked?.path ?? "", "http://x").searchParams)).toEqual({
      service: "the service",
      scope: "repository:private:pull",
      account: "user",
    });
    const shown = registry.requests.filter(({ path }) => path.startsWith("/v2/private/")).map(({ headers }) => headers.authorization);
    expect(new Set(shown)).toEqual(new Set(["Bearer the-token"]));
  });

  test("a wrong password is refused by the token server", async () => {
    registry.script(guard("Bearer the-token", challengeOf(`http://${registry.host}/token`)));
    registry.script(tokenServer);
    const refused = await pullAs(registry.put("private", IMAGE), "wrong");
    expect([refused.code, refused.stderr]).toEqual([
      1,
      `Error response from daemon: Head "http://${registry.host}/v2/private/manifests/latest": unauthorized: unauthorized\n`,
    ]);
    const login = { username: "user", password: "wrong", serveraddress: registry.host };
    expect((await daemon().api("POST", "/auth", login)).json()).toEqual({
      message: `Get "http://${registry.host}/v2/": unauthorized: unauthorized`,
    });
  });

  test("a token server on a host that is not the registry's gets no password", async () => {
    registry.script(guard("Bearer the-token", challengeOf(`http://${other.host.replace("127.0.0.1", "localhost")}/token`)));
    other.script(tokenServer);
    expect((await pullAs(registry.put("private", IMAGE))).code).toBe(1);
    expect(other.requests.map(({ headers }) => headers.authorization).filter(Boolean)).toEqual([]);
  });

  test("that open nothing mean that access is denied", async () => {
    registry.script(guard("Bearer another", `${challengeOf(`http://${registry.host}/token`)},error="insufficient_scope"`));
    registry.script((request, response) => {
      if (request.path.startsWith("/token?")) response.end(JSON.stringify({ access_token: "opens-nothing", expires_in: 300 }));
      return request.path.startsWith("/token?");
    });
    const reference = registry.put("private", IMAGE);
    const name = `${registry.host}/private`;
    expect((await pull(daemon(), reference)).error).toBe(
      `404 pull access denied for ${name}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    );
  });
});

test("what one repository let us have opens no other", async () => {
  const byDigest = (reference: string): string => `${reference.split(":latest")[0]}@${IMAGE.manifest.digest}`;
  const open = registry.put("open", IMAGE);
  expect((await pull(daemon(), byDigest(open))).error).toBe("");
  registry.script(guard(BASIC, 'Basic realm="r"'));
  expect((await pull(daemon(), byDigest(registry.put("private", IMAGE)))).error).toContain("no basic auth credentials");
});

test("a redirect to another host is followed without the password", async () => {
  const reference = registry.put("private", IMAGE);
  const elsewhere = other.put("private", IMAGE);
  registry.script((request, response) => {
    if (!request.path.includes("/blobs/")) return false;
    response.writeHead(307, { location: `http://${elsewhere.split("/")[0]}${request.path}` }).end();
    return true;
  });
  registry.script(guard(BASIC, 'Basic realm="r"'));
  expect((await pullAs(reference)).code).toBe(0);
  expect(registry.blobRequests().every(({ headers }) => headers.authorization === BASIC)).toBe(true);
  expect(other.blobRequests().map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
});

describe("mirrors of docker.io", () => {
  test("are asked one after another, without the password", async () => {
    registry.script((request, response) => {
      if (request.path.includes("/manifests/")) refuse(response, 404, "MANIFEST_UNKNOWN");
      return request.path.includes("/manifests/");
    });
    other.put("library/mirrored", IMAGE);
    await daemon().stop();
    await daemon().start({
      flags: ["http://127.0.0.1:1", `http://${registry.host}`, `http://${other.host}`].map((url) => `--registry-mirror=${url}`),
    });
    const auth = { username: "user", password: PASSWORD };
    const { error, lines } = await pull(daemon(), "mirrored:latest", { auth });
    expect(error).toBe("");
    expect(lines.at(-1)).toBe("Status: Downloaded newer image for mirrored:latest");
    expect(await imageTags(daemon())).toEqual(["busybox:latest", "mirrored:latest"]);
    expect([...registry.requests, ...other.requests].some(({ headers }) => headers.authorization !== undefined)).toBe(false);
  });
});

describe.skipIf(missingTools("openssl").length > 0)("beyond loopback", () => {
  let address: string;
  let secure: ScriptedRegistry;
  const certificateFolders: string[] = [];

  beforeAll(async () => {
    address = `${daemon().subnet}.1`;
    const [key, cert] = [place.file("key.pem"), place.file("cert.pem")];
    const subject = ["-subj", "/CN=registry", "-addext", `subjectAltName=IP:${address}`];
    await place.tool([
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      ...subject,
      "-keyout",
      key,
      "-out",
      cert,
    ]);
    secure = await openScriptedRegistry({ address, tls: { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") } });
  });
  afterEach(() => {
    for (const folder of certificateFolders.splice(0)) rmSync(folder, { recursive: true });
    // Ours, unless the machine has some of its own.
    for (const folder of [CERTIFICATES, path.dirname(CERTIFICATES)]) {
      if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
    }
  });
  afterAll(() => secure.close());

  /** What an administrator puts there for a registry. */
  function certificatesFor(host: string): string {
    const folder = path.join(CERTIFICATES, host);
    mkdirSync(folder, { recursive: true });
    certificateFolders.push(folder);
    return folder;
  }

  test("a registry must speak TLS, with a certificate that somebody vouches for; the message says the way out", async () => {
    const plain = await openScriptedRegistry({ address });
    for (const [one, why] of [
      [secure, "tls: failed to verify certificate: x509: certificate signed by unknown authority"],
      [plain, "http: server gave HTTP response to HTTPS client"],
    ] as const) {
      const message = `Get "https://${one.host}/v2/": ${why}: to use this registry all the same, start the daemon with --insecure-registry ${one.host}`;
      const { error } = await pull(daemon(), one.put("image", IMAGE));
      expect(error).toContain(`500 ${message}`);
      await daemon().dockerOk("tag", "busybox", `${one.host}/mine:1`);
      expect((await push(daemon(), `${one.host}/mine:1`)).error).toContain(message);
      await daemon().dockerOk("rmi", `${one.host}/mine:1`);
    }
    await plain.close();
  });

  test("certs.d vouches", async () => {
    writeFileSync(`${certificatesFor(secure.host)}/ca.crt`, readFileSync(place.file("cert.pem")));
    const reference = secure.put("image", IMAGE);
    expect((await pull(daemon(), reference)).error).toBe("");
    expect((await push(daemon(), reference)).error).toBe("");
  });

  test("certs.d says who we are", async () => {
    const [cert, key] = ["cert.pem", "key.pem"].map((name) => readFileSync(place.file(name), "utf8")) as [string, string];
    const mutual = await openScriptedRegistry({ address, tls: { cert, key, ca: cert } });
    const folder = certificatesFor(mutual.host);
    writeFileSync(`${folder}/ca.crt`, cert);
    const reference = mutual.put("image", IMAGE);
    expect((await pull(daemon(), reference)).error).toMatch(/^500 Get "https:/);
    writeFileSync(`${folder}/client.cert`, cert);
    expect((await pull(daemon(), reference)).error).toContain("missing key client.key for client certificate client.cert");
    writeFileSync(`${folder}/client.key`, key);
    expect((await pull(daemon(), reference)).error).toBe("");
    await mutual.close();
  });

  test("a proxy is asked where the daemon's environment names one, with its password", async () => {
    const plain = await openScriptedRegistry({ address });
    const proxy = await openProxy();
    const own = `http://user:${encodeURIComponent(PASSWORD)}@${proxy.host}`;
    const behind = await openTestDaemon({ env: { HTTP_PROXY: own, https_proxy: own }, flags: [`--insecure-registry=${address}/32`] });
    await behind.start();
    for (const one of [secure, plain]) expect((await pull(behind, one.put("image", IMAGE))).error).toBe("");
    expect((await pull(behind, registry.put("image", IMAGE))).lines.at(-1)).toContain("Downloaded newer image");
    await behind.close();
    const blobs = plain.blobRequests().map(({ path }) => `GET http://${plain.host}${path}`);
    expect(proxy.asked).toEqual(expect.arrayContaining([`CONNECT ${secure.host}`, ...blobs]));
    expect(proxy.asked.join(" ")).not.toContain(registry.host);
    expect(new Set(proxy.passwords)).toEqual(new Set([BASIC]));
    await proxy.close();
    await plain.close();
  });

  test("--insecure-registry asks nobody, and takes plain HTTP too", async () => {
    const plain = await openScriptedRegistry({ address });
    await daemon().stop();
    await daemon().start({ flags: [`--insecure-registry=${secure.host}`, `--insecure-registry=${address}/32`] });
    for (const one of [secure, plain]) expect((await pull(daemon(), one.put("image", IMAGE))).error).toBe("");
    await plain.close();
  });
});
