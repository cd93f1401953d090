import { EngineError } from "../../base/errors.ts";
import type { RegistryAuth } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import { endpointsOf } from "./registry/endpoints.ts";
import { openSession } from "./registry/registry-session.ts";
import { canonicalHost } from "./registry/trust.ts";

const HUB = "docker.io";

/** `POST /auth`: `docker login`. The engine keeps nothing of it: the client does, and sends it along with each pull. */
export async function logIn(engine: ImageEngine, auth: RegistryAuth, signal: AbortSignal = new AbortController().signal): Promise<void> {
  const reference = { domain: registryOf(auth.serverAddress ?? ""), path: "", tag: undefined, digest: undefined };
  let failure: unknown;
  // A mirror has no business with it.
  for (const endpoint of await endpointsOf(reference.domain, { ...engine.registry, mirrors: [] })) {
    try {
      return await openSession({ reference, endpoint, auth, children: engine.children, settings: engine.registry }).logIn(signal);
    } catch (error) {
      signal.throwIfAborted();
      // Who was refused by TLS does not show the password without.
      if (error instanceof EngineError && error.kind === "unauthorized") throw error;
      failure = error;
    }
  }
  throw failure;
}

function registryOf(serverAddress: string): string {
  if (serverAddress === "") return HUB;
  const address = /^https?:\/\//.test(serverAddress) ? serverAddress : `https://${serverAddress}`;
  if (!URL.canParse(address)) throw new EngineError("invalid", `unable to parse server address: ${JSON.stringify(serverAddress)}`);
  return canonicalHost(new URL(address).host);
}
