import { EngineError } from "../../base/errors.ts";
import { parseBooleanFilter } from "./image-filters.ts";
import type { RegistryAuth } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import { RefusedError } from "./registry/authorizer.ts";
import { endpointsOf, type Endpoint } from "./registry/endpoints.ts";
import { isNetworkFailure, openSession } from "./registry/registry-session.ts";

export interface SearchRequest {
  /** A term for Docker Hub, or `HOST[:PORT]/term` for another registry that can search. */
  term: string;
  limit: number | undefined;
  filters: Map<string, string[]>;
  auth: RegistryAuth | undefined;
}

export interface SearchResult {
  name: string;
  description: string;
  isOfficial: boolean;
  starCount: number;
}

const FILTERS = ["is-automated", "is-official", "stars"];
const DEFAULT_LIMIT = 25;
const MAX_LIMIT = 100;
/** Where Docker Hub searches; it pulls elsewhere. */
const HUB: Endpoint = { baseUrl: "https://index.docker.io", isMirror: false, insecureTls: false };

/** `GET /images/search`: by the old v1 search of registries, which is all there is. Filters are applied here, as in Docker. */
export async function searchImages(engine: ImageEngine, request: SearchRequest, signal?: AbortSignal): Promise<SearchResult[]> {
  const { term, limit = DEFAULT_LIMIT, filters } = request;
  for (const key of filters.keys()) if (!FILTERS.includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  const isAutomated = parseBooleanFilter("is-automated", filters.get("is-automated")) === true;
  const isOfficial = parseBooleanFilter("is-official", filters.get("is-official"));
  const stars = Math.max(0, ...(filters.get("stars") ?? []).map(starsOf));
  if (/^https?:\/\//.test(term))
    throw new EngineError("invalid", `invalid repository name: repository name (${term}) should not have a scheme`);
  const wanted = limit === 0 ? DEFAULT_LIMIT : limit;
  if (wanted < 1 || wanted > MAX_LIMIT) throw new EngineError("invalid", `limit ${wanted} is outside the range of [1, ${MAX_LIMIT}]`);
  // Nobody's images are built by Docker Hub any more: there are none.
  if (isAutomated) return [];
  const found = await search(engine, term, wanted, request.auth, signal);
  return found.filter((result) => result.starCount >= stars && (isOfficial === undefined || result.isOfficial === isOfficial));
}

function starsOf(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new EngineError("invalid", `invalid filter 'stars=${text}'`);
  return Number(text);
}

async function search(
  engine: ImageEngine,
  term: string,
  limit: number,
  auth: RegistryAuth | undefined,
  signal: AbortSignal | undefined,
): Promise<SearchResult[]> {
  const { domain, rest } = splitTerm(term);
  const endpoints = domain === "docker.io" ? [HUB] : await endpointsOf(domain, engine.registry);
  const reference = { domain, path: "", tag: undefined, digest: undefined };
  const query = new URLSearchParams({ q: rest, n: String(limit) }).toString();
  let failure: unknown;
  for (const endpoint of endpoints) {
    const session = openSession({ reference, endpoint, auth, children: engine.children, settings: engine.registry });
    try {
      const response = await session.ask({ method: "GET", url: `${endpoint.baseUrl}/v1/search?${query}` }, signal);
      if (response.status !== 200) throw new EngineError("system", `Unexpected status code ${response.status}`);
      return readResults(response.body);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof RefusedError) throw new EngineError("system", error.message, { cause: error });
      if (!isNetworkFailure(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** What is before the slash is a registry when it looks like a host. */
function splitTerm(term: string): { domain: string; rest: string } {
  const slash = term.indexOf("/");
  const first = term.slice(0, Math.max(slash, 0));
  const isHost = slash !== -1 && (/[.:]/.test(first) || first === "localhost");
  const domain = !isHost || first === "index.docker.io" ? "docker.io" : first;
  const rest = isHost ? term.slice(slash + 1) : term;
  return { domain, rest: domain === "docker.io" ? rest.replace(/^library\//, "") : rest };
}

function readResults(body: Buffer): SearchResult[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    parsed = undefined;
  }
  const results: unknown = typeof parsed === "object" && parsed !== null && "results" in parsed ? parsed.results : undefined;
  if (!Array.isArray(results)) throw new EngineError("system", "error decoding registry search results");
  return results.map((result: unknown) => {
    const members = new Map<string, unknown>(Object.entries(typeof result === "object" && result !== null ? result : {}));
    const text = (name: string): string => {
      const value = members.get(name);
      return typeof value === "string" ? value : "";
    };
    const stars = members.get("star_count");
    return {
      name: text("name"),
      description: text("description"),
      isOfficial: members.get("is_official") === true,
      starCount: typeof stars === "number" ? stars : 0,
    };
  });
}
