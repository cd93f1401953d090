import { EngineError } from "../../base/errors.ts";
import type { Images, RegistryAuth } from "../../engine/images/images.ts";
import { parseJsonPlatform, parsePlatform, type Platform } from "../../engine/images/platform.ts";
import { fullReference, parseReference, withTag } from "../../engine/images/reference.ts";
import { type Answer, type Call, json, type Route } from "../call.ts";
import { imageHistory, imageInspect, imageSummary } from "../image-shapes.ts";
import { progressAnswer } from "../progress.ts";
import { parseRegistryAuth, readRegistryAuth } from "../registry-auth.ts";
import { adaptImage, adaptImageSummary } from "../shims.ts";

export function imageRoutes(images: Images): Route[] {
  return [
    { method: "GET", path: "/images/json", operation: "ImageList", handle: (call) => list(images, call) },
    { method: "GET", path: "/images/search", operation: "ImageSearch", handle: (call) => search(images, call) },
    {
      method: "GET",
      path: "/distribution/{name:.*}/json",
      operation: "DistributionInspect",
      async handle({ name, headers, signal }) {
        const found = await images.inspectRemote(name, parseRegistryAuth(headers["x-registry-auth"]), signal);
        const { mediaType, digest, sizeBytes: size, platforms } = found;
        return json({ Descriptor: { mediaType, digest, size }, Platforms: platforms });
      },
    },
    { method: "GET", path: "/images/get", operation: "ImageGetAll", handle: (call) => save(images, call, call.query.all("names")) },
    { method: "GET", path: "/images/{name:.*}/get", operation: "ImageGet", handle: (call) => save(images, call, [call.name]) },
    {
      method: "GET",
      path: "/images/{name:.*}/history",
      operation: "ImageHistory",
      handle: (call) => {
        const image = images.get(call.name, jsonPlatformOf(call, 1048));
        return json(imageHistory(image, images.ancestorsOf(image), images.layersOf(image)));
      },
    },
    {
      method: "GET",
      path: "/images/{name:.*}/json",
      operation: "ImageInspect",
      handle: (call) => {
        const platform = jsonPlatformOf(call, 1049);
        if (platform !== undefined && call.query.flag("manifests"))
          throw new EngineError("invalid", "conflicting options: manifests and platform options cannot both be set");
        const image = images.get(call.name, platform);
        return json(adaptImage(imageInspect(image, images.layersOf(image)), call.version));
      },
    },
    { method: "POST", path: "/images/load", operation: "ImageLoad", handle: (call) => load(images, call) },
    {
      method: "POST",
      path: "/images/create",
      operation: "ImageCreate",
      handle: (call) => (call.query.text("fromImage") === undefined ? importImage(images, call) : pull(images, call)),
    },
    { method: "POST", path: "/images/{name:.*}/push", operation: "ImagePush", handle: (call) => push(images, call) },
    { method: "POST", path: "/images/{name:.*}/tag", operation: "ImageTag", handle: (call) => tag(images, call) },
    {
      method: "POST",
      path: "/images/prune",
      operation: "ImagePrune",
      async handle({ query, signal }) {
        const { deleted, reclaimedBytes } = await images.prune(query.filters(), signal);
        return json({ ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimedBytes });
      },
    },
    {
      method: "POST",
      path: "/auth",
      operation: "SystemAuth",
      async handle({ body, signal }) {
        await images.logIn(readRegistryAuth(await body.parsed()), signal);
        return json({ IdentityToken: "", Status: "Login Succeeded" });
      },
    },
    {
      method: "DELETE",
      path: "/images/{name:.*}",
      operation: "ImageDelete",
      async handle({ name, query }) {
        if (name.trim() === "") throw new EngineError("invalid", "image name cannot be blank");
        return json(await images.remove(name, { force: query.flag("force"), noPrune: query.flag("noprune") }));
      },
    },
  ];
}

function list(images: Images, { query, version }: Call): Answer {
  const filters = query.filters();
  const pattern = version < 1041 ? query.text("filter") : undefined;
  if (pattern !== undefined) filters.set("reference", [...(filters.get("reference") ?? []), pattern]);
  const found = images.list({ filters, all: query.flag("all"), sharedSizes: version >= 1042 && query.flag("shared-size") });
  return json(found.map((image) => adaptImageSummary(imageSummary(image), version)));
}

async function search(images: Images, { query, headers, signal }: Call): Promise<Answer> {
  const limit = query.integer("limit");
  if (limit !== undefined && limit < 0) throw new EngineError("invalid", "invalid limit specified");
  const auth = parseRegistryAuth(headers["x-registry-auth"]);
  const found = await images.search({ term: query.text("term") ?? "", limit, filters: query.filters(), auth }, signal);
  return json(
    found.map(({ name, description, isOfficial, starCount }) => ({
      star_count: starCount,
      is_official: isOfficial,
      name,
      is_automated: false,
      description,
    })),
  );
}

function pull(images: Images, call: Call): Answer {
  const { query, headers, signal } = call;
  const reference = pullReference(query.text("fromImage") ?? "", query.text("tag"));
  const platform = platformOf(call);
  const auth = parseRegistryAuth(headers["x-registry-auth"]);
  return progressAnswer((progress) => images.pull({ reference, platform, auth }, progress, signal));
}

function platformOf({ query, version }: Call): Platform | undefined {
  const text = query.text("platform");
  return text === undefined || version < 1032 ? undefined : parsePlatform(text);
}

/** The "tag" may be a digest; the name may end in a colon (`docker pull -a`). */
function pullReference(name: string, tag: string | undefined): string {
  const bare = name.replace(/:$/, "");
  if (/^(?:docker\.io\/)?(?:library\/)?scratch$/.test(bare)) throw new EngineError("forbidden", "'scratch' is a reserved name");
  if (tag === undefined) return bare;
  if (/^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/.test(tag)) return `${withoutTag(bare)}@${tag}`;
  return `${withoutTag(bare)}:${tag}`;
}

function withoutTag(name: string): string {
  return name.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
}

async function push(images: Images, call: Call): Promise<Answer> {
  const { name, query, signal } = call;
  const tag = query.text("tag");
  const repository = withoutTag(name);
  const reference = tag === undefined ? name : withTag(parseReference(repository), tag);
  const request = {
    reference: typeof reference === "string" ? fullReference(parseReference(reference)) : fullReference(reference),
    platform: jsonPlatformOf(call, 1046),
    auth: await pushAuth(call),
  };
  return progressAnswer((progress) => images.push(request, progress, signal));
}

/** Old clients send it as the body. */
async function pushAuth({ headers, body }: Call): Promise<RegistryAuth | undefined> {
  if (headers["x-registry-auth"] !== undefined && headers["x-registry-auth"] !== "") return parseRegistryAuth(headers["x-registry-auth"]);
  const parsed = await body.parsed();
  if (parsed === undefined)
    throw new EngineError("invalid", "bad parameters and missing X-Registry-Auth: invalid X-Registry-Auth header: EOF");
  return readRegistryAuth(parsed);
}

/** A platform as newer parts of the API take it: `{"os":"linux","architecture":"arm64"}`. */
function jsonPlatformOf({ query, version }: Call, since: number): Platform | undefined {
  const text = query.text("platform");
  return text === undefined || version < since ? undefined : parseJsonPlatform(text);
}

function importImage(images: Images, call: Call): Answer {
  const { query, body, signal } = call;
  const source = query.text("fromSrc") ?? "";
  const repository = query.text("repo");
  const request = {
    repository: repository === undefined ? undefined : withoutTag(repository),
    tag: query.text("tag") ?? (repository === undefined ? undefined : tagOf(repository)),
    message: query.text("message") ?? `Imported from ${source}`,
    changes: query.all("changes"),
    platform: platformOf(call),
  };
  const tar = source === "-" ? body.stream() : addressOf(source);
  return progressAnswer(async (progress) => void (await images.import({ ...request, tar }, progress, signal)));
}

function tagOf(repository: string): string | undefined {
  if (repository.includes("@")) throw new EngineError("invalid", "cannot import digest reference");
  return /:([^/:]*)$/.exec(repository)?.[1];
}

function addressOf(source: string): URL {
  const address = source.includes("://") ? source : `http://${source}`;
  if (!/^https?:\/\/./i.test(address) || !URL.canParse(address))
    throw new EngineError("invalid", `cannot import from ${JSON.stringify(source)}: give - for the request's body, or an http(s) URL`);
  return new URL(address);
}

function save(images: Images, call: Call, names: string[]): Answer {
  const platform = jsonPlatformOf(call, 1048);
  return {
    kind: "stream",
    contentType: "application/x-tar",
    async write(output) {
      for await (const piece of await images.save(names, { platform }, call.signal)) await output.write(piece);
    },
  };
}

function load(images: Images, call: Call): Answer {
  const { query, body, signal } = call;
  const request = { archive: body.stream(), quiet: query.flag("quiet"), platform: jsonPlatformOf(call, 1048) };
  return progressAnswer((progress) => images.load(request, progress, signal), { errorsInBody: true });
}

async function tag(images: Images, { name, query }: Call): Promise<Answer> {
  const repository = query.text("repo");
  if (repository === undefined) throw new EngineError("invalid", "invalid reference format");
  if (repository === "sha256") throw new EngineError("invalid", "refusing to create an ambiguous tag using digest algorithm as name");
  await images.tag(name, withoutTag(repository), query.text("tag") ?? tagOf(repository) ?? "latest");
  return { kind: "empty", status: 201 };
}
