/**
 * What our command line asks of our engine beyond Docker's `POST /build`, and what it is told beyond Docker's answer. Other engines ignore
 * the parameters; other clients never send them, and are never told.
 */
export const buildParameters = {
  /** Absolute path of a folder on the engine's machine, read in place: nothing is sent but a Dockerfile from elsewhere, as the body. */
  context: "tsubo-context",
  /** Its device and inode, which show that client and engine mean the same folder. */
  device: "tsubo-device",
  inode: "tsubo-inode",
  /** `1`: the answer also has `{"aux": {"tsubo.step": …}}` lines. */
  progress: "tsubo-progress",
  /** A stage whose steps are not taken from the cache; repeated. */
  noCacheFilter: "tsubo-no-cache-filter",
  /** JSON object of named contexts: absolute paths, `docker-image://…`, `target:…`, URLs. */
  contexts: "tsubo-build-contexts",
  /** `1`: look for mistakes in the Dockerfile and build nothing. */
  check: "tsubo-check",
  /** JSON object of ssh agents on the engine's machine: from each id to the path of its socket. */
  ssh: "tsubo-ssh",
  /** Something that steps may do only when it is allowed, such as `security.insecure`; repeated. */
  allow: "allow",
} as const;

/** Header with what `RUN --mount=type=secret` may see: base64url of a JSON object, from each id to its base64. Never logged. */
export const SECRETS_HEADER = "X-Tsubo-Secrets";
/** As BuildKit's. */
export const MAX_SECRET_BYTES = 500 * 1024;

/** The state of one step, told whenever it changes. */
export type BuildStep = {
  readonly id: string;
  readonly name: string;
  readonly status: "started" | "cached" | "done" | "failed";
  readonly stage?: string;
  readonly ms?: number;
};
