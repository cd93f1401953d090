import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { BIG, document, FILE, IMAGE, incompressible, makeImage, type TestImage } from "./images/image.ts";
import { imageTags, pull, removeImages } from "./images/pulls.ts";
import {
  breakOff,
  onBlob,
  onManifest,
  openScriptedRegistry,
  refuse,
  sendBlob,
  sendManifest,
  type Script,
  type ScriptedRegistry,
} from "./images/registry.ts";

/** Registries that lie, break off and refuse. After each failure nothing is left, and the same pull works once they behave. */

const daemon = useDaemon({ flags: ["--max-download-attempts=2"] });
let registry: ScriptedRegistry;

beforeAll(async () => {
  registry = await openScriptedRegistry();
});
afterEach(async () => {
  registry.heal();
  await removeImages(daemon());
});
afterAll(async () => {
  await registry.close();
});

const DOCKER = "application/vnd.docker.distribution.manifest";

interface Failure {
  what: string;
  /** What is wrong with the image itself. */
  image?: TestImage;
  /** What is wrong with its registry. */
  script?: Script;
  says: RegExp;
}

const LAYER_FAILURES: Failure[] = [
  {
    what: "a layer with other bytes than its digest says",
    script: onBlob(BIG, (request, response) => sendBlob(request, response, incompressible(BIG.bytes.length))),
    says: new RegExp(`^filesystem layer verification failed for digest ${BIG.digest}$`),
  },
  {
    what: "a layer that is longer than its manifest says",
    script: onBlob(BIG, (request, response) => sendBlob(request, response, incompressible(BIG.bytes.length + 1))),
    says: /the registry sent more than the \d+ bytes its manifest says$/,
  },
  {
    what: "a layer that is shorter than its manifest says",
    script: onBlob(BIG, (request, response) => sendBlob(request, response, BIG.bytes.subarray(0, 1000))),
    says: /filesystem layer verification failed/,
  },
  {
    what: "a layer that always breaks off",
    script: onBlob(BIG, (_request, response) => breakOff(response, BIG, BIG.bytes.subarray(0, 5))),
    says: /^downloading layer \w{12}: .*(?:unexpected EOF|connection reset by peer)$/,
  },
  {
    what: "a layer that is not there",
    script: onBlob(BIG, (_request, response) => refuse(response, 404, "BLOB_UNKNOWN")),
    says: /blob unknown/,
  },
  {
    what: "a layer that is redirected for ever",
    script: onBlob(BIG, (request, response) => void response.writeHead(307, { location: request.path }).end()),
    says: /stopped after 5 redirects/,
  },
  {
    what: "a layer that is no gzip after its first bytes",
    image: makeImage([{ tar: FILE, blob: Buffer.from("1f8b0800000000000003ffffffff", "hex") }]),
    says: /^unpacking the layer: decompressing gzip: /,
  },
  {
    what: "a layer whose gzip ends in the middle",
    image: makeImage([{ tar: FILE, blob: IMAGE.layers[1]?.bytes.subarray(0, 1000) ?? FILE }]),
    says: /^unpacking the layer.*: the data ends in the middle$/,
  },
  {
    what: "a layer that is no tar",
    image: makeImage([Buffer.from("<html>".repeat(1000))]),
    says: /^unpacking the layer: invalid tar header/,
  },
  {
    what: "a config whose diffID is not the layer's",
    image: makeImage([FILE], { diffIds: [`sha256:${"0".repeat(64)}`] }),
    says: /^layers from manifest don't match image configuration: layer sha256:\w+ unpacks to sha256:\w+, not to sha256:0+$/,
  },
];

const other = makeImage([FILE], { config: { architecture: "s390x" } });
const METADATA_FAILURES: Failure[] = [
  {
    what: "more layers than diffIDs",
    image: makeImage([FILE], { diffIds: [] }),
    says: /layers from manifest don't match image configuration$/,
  },
  { what: "a config that is no JSON", image: makeImage([FILE], { config: "{" }), says: /invalid image config: / },
  {
    what: "a config with members of a wrong type",
    image: makeImage([FILE], { config: { config: { Env: "A=b" } } }),
    says: /config.Env is no list/,
  },
  {
    what: "a config for another system",
    image: makeImage([FILE], { config: { os: "windows" } }),
    says: /image operating system "windows" cannot be used on this platform$/,
  },
  {
    what: "a config with other bytes than its digest says",
    script: onBlob(IMAGE.config, (request, response) => sendBlob(request, response, Buffer.from("{}"))),
    says: /image config verification failed for digest sha256:/,
  },
  {
    what: "a manifest that is too long",
    image: makeImage([FILE], { manifest: { annotations: { long: "x".repeat(5 * 1024 ** 2) } } }),
    says: /the registry's answer is longer than 4194304 bytes$/,
  },
  {
    what: "a manifest with other bytes than its digest says",
    script: onManifest((request, response) => sendManifest(request, response, { ...IMAGE.manifest, bytes: other.manifest.bytes })),
    says: /manifest verification failed for digest sha256:/,
  },
  {
    what: "a manifest of schema 1",
    script: onManifest((request, response) => sendManifest(request, response, document(`${DOCKER}.v1+prettyjws`, { schemaVersion: 1 }))),
    says: /^400 Docker Image manifest version 2, schema 1 is no longer supported/,
  },
  {
    what: "a digest that leads elsewhere",
    image: makeImage([FILE], { manifest: { layers: [{ digest: "sha256:../../../etc/passwd", size: 1 }] } }),
    says: /layers has an invalid or unsupported digest$/,
  },
  {
    what: "no such tag",
    script: onManifest((_, response) => refuse(response, 404, "MANIFEST_UNKNOWN")),
    says: /^404 manifest for \S+:latest not found: manifest unknown: manifest unknown$/,
  },
  {
    what: "no such repository",
    script: onManifest((_, response) => refuse(response, 404, "NAME_UNKNOWN")),
    says: /^404 repository \S+ not found: name unknown: name unknown$/,
  },
  {
    what: "too many pulls",
    script: onManifest((_, response) => refuse(response, 429, "TOOMANYREQUESTS")),
    says: /^500 toomanyrequests: toomanyrequests$/,
  },
  {
    what: "a registry in trouble",
    script: onManifest((_, response) => void response.writeHead(503).end("<h1>down</h1>")),
    says: /^500 received unexpected HTTP status: 503 Service Unavailable$/,
  },
];

describe("a pull fails, leaves nothing, and works when repeated, with", () => {
  test.each([...LAYER_FAILURES, ...METADATA_FAILURES])("$what", async ({ image = IMAGE, script, says }) => {
    const reference = registry.put("broken", image);
    if (script !== undefined) registry.script(script);
    expect((await pull(daemon(), reference)).error).toMatch(says);
    expect(await imageTags(daemon())).toEqual(["busybox:latest"]);
    registry.heal();
    registry.put("broken", IMAGE);
    expect((await pull(daemon(), reference)).error).toBe("");
    expect(await imageTags(daemon())).toEqual([reference, "busybox:latest"]);
  });

  test.each(["127.0.0.1:1", "[::1]:1"])("no registry at %s", async (host) => {
    expect((await pull(daemon(), `${host}/a:b`)).error).toBe(`500 Get "http://${host}/v2/": dial tcp ${host}: connect: connection refused`);
  });
});
