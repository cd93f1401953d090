import type { ChildImage } from "./add-child.ts";
import type { ImageConfig } from "./image-config.ts";
import type { RemoteDescription } from "./inspect-remote.ts";
import type { ListOptions } from "./list.ts";
import type { Platform } from "./platform.ts";
import type { RemovedItem } from "./remove.ts";
import type { StepUse } from "./step-images.ts";
import type { SearchRequest, SearchResult } from "./search.ts";

/**
 * Images: a config, a list of layers, and the references that name it.
 *
 * Words. The *id* of an image is the digest of its config's bytes. A layer has three names: its *digest* as the registry has it, packed;
 * its *diffID*, unpacked; and its *chainID*, with all layers below it, which is what the store knows it by. A *manifest* lists an image's
 * config and layers, an *index* the manifests for several platforms. A *reference* is *full* in the store and *familiar* to people.
 *
 * Invariants. What has a record has all of its layers and blobs; it gets the record last and loses it first. Layers and blobs that nobody
 * names are deleted, unless an operation under way holds them (`pin`). Nothing is told to be there before it is durable.
 *
 * State. Records and references are rows of state.db, with a copy in memory (image-store.ts). Layers are the layer driver's, the exact bytes
 * of configs and manifests are blobs. Downloads grow in content/partial, and stay there only when they were stopped or cut off.
 *
 * Whatever comes from strangers is read in a child process (bin/tsubo-unpack.ts): registries' answers, and the archives they send.
 */
export interface Images {
  /** By reference, id or unambiguous id prefix; `notFound` with Docker's words (`No such image: x:latest`), or when it is for another platform. */
  get(nameOrId: string, platform?: Platform): Image;
  find(nameOrId: string): Image | undefined;

  list(options: ListOptions): Image[];

  /** The images it was made from here, nearest first, as far as they are here. */
  ancestorsOf(image: Image): Image[];

  /** Bytes that all layers of images take, each counted once. */
  layersBytes(): number;
  /** Containers that were made from it. */
  countUsers(image: Image): number;

  /** Downloads an image; `progress` gets Docker's lines in Docker's order. Already there and current: only says so. */
  pull(request: PullRequest, progress: (line: ProgressLine) => void, signal?: AbortSignal): Promise<void>;

  /** Uploads one tag, or all of a repository; Docker's lines in Docker's order. */
  push(request: PushRequest, progress: (line: ProgressLine) => void, signal?: AbortSignal): Promise<void>;

  /** Makes an image of one layer from a root file system as a tar (plain, gzip, bzip2, xz or zstd). */
  import(request: ImportRequest, progress: (line: ProgressLine) => void, signal?: AbortSignal): Promise<Image>;

  /**
   * Images as one archive: an OCI layout that older engines read too. What cannot be saved is told before the first byte comes; who stops
   * reading ends the work. A chunk is only valid until the next is asked for.
   */
  save(names: string[], options: { platform?: Platform | undefined }, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;

  /** Makes images known that an archive holds: Docker's of any age, or an OCI layout; `progress` gets Docker's lines. */
  load(request: LoadRequest, progress: (line: ProgressLine) => void, signal?: AbortSignal): Promise<void>;

  /** What a registry has under a reference. */
  inspectRemote(name: string, auth: RegistryAuth | undefined, signal?: AbortSignal): Promise<RemoteDescription>;

  search(request: SearchRequest, signal?: AbortSignal): Promise<SearchResult[]>;

  /** Asks a registry whether it lets these credentials in; `unauthorized` when it does not. */
  logIn(auth: RegistryAuth, signal?: AbortSignal): Promise<void>;

  /** Makes the images of a build's steps known, all or none; their layers are committed. Durable when it resolves. */
  addSteps(steps: StepImage[]): Promise<void>;
  /** Makes an image known that was made from another, with its layer, which it commits. Durable when it resolves. */
  addChild(child: ChildImage): Promise<Image>;
  /** The newest image that a step with this key made. */
  findStep(key: string): Image | undefined;
  /** Images that steps of builds made, the oldest first; the build cache decides by them what may go. */
  steps(): StepUse[];
  /** Removes step images as far as nothing needs them by then; answers which, and how many bytes of layers went with them. */
  removeSteps(ids: ReadonlySet<string>): Promise<{ ids: string[]; bytes: number }>;
  /** Makes an image known as made from another, unless it is known what it was made from. */
  adopt(id: string, parent: string): Promise<void>;
  /** What a build came to is more than cache, also without a name. Durable when it resolves. */
  markResult(id: string): Promise<void>;
  /** Holds layers and blobs that an operation under way counts on, although no image names them (yet); until it is disposed. */
  pin(): Pin;

  tag(nameOrId: string, repository: string, tag: string): Promise<void>;

  /** Untags or deletes by Docker's rules. Answers what was done, in order. */
  remove(nameOrId: string, options: { force: boolean; noPrune: boolean }): Promise<RemovedItem[]>;

  /** Removes what no container uses; what was done, in order. `conflict` while another prune is under way. */
  prune(filters: Map<string, string[]>, signal?: AbortSignal): Promise<{ deleted: RemovedItem[]; reclaimedBytes: number }>;

  /** The sizes of an image's layers, lowest first, and what the layer driver has to tell of the uppermost. */
  layersOf(image: Image): { driver: string; data: Record<string, string>; sizesBytes: number[] };

  /** The exact bytes of an image's config, or of a manifest it came with. */
  readBlob(digest: string): Promise<Buffer>;

  /** Makes `busybox:latest` of the host's static busybox when no image has that name. Answers whether it did. */
  ensureEmbedded(): Promise<boolean>;

  /** Drops layers that neither an image nor a container needs; for after a container was removed. */
  collectLayers(): Promise<void>;

  /** Finishes or undoes what an earlier daemon left half done. */
  restore(): Promise<void>;
}

export interface Image {
  /** `sha256:…` */
  id: string;
  /** Familiar form: `busybox:latest`. */
  tags: string[];
  /** Familiar form: `busybox@sha256:…`. */
  digests: string[];
  config: ImageConfig;
  /** The image it was made from here, by commit or build. */
  parent: string | undefined;
  /** Digests of the manifest and index it was pulled with. */
  manifests: string[];
  /** The exact bytes' size and the parsed config are kept; `chainId` is that of the top layer, undefined for no layers. */
  chainId: string | undefined;
  sizeBytes: number;
  /** Of that, what other images of a list have too; where it was asked for. */
  sharedBytes?: number;
  createdNs: bigint;
  lastTaggedNs: bigint;
}

export interface StepImage {
  configBytes: Buffer;
  /** The image it was made from; undefined for `FROM scratch`. */
  parent: string | undefined;
  /** What the step does to its parent, as a digest. */
  key: string;
}

export interface Pin {
  /** ChainIDs of layers, digests of blobs. */
  hold: (digest: string) => void;
  readonly held: ReadonlySet<string>;
  [Symbol.dispose]: () => void;
}

export interface PullRequest {
  /** Familiar or full; with `@digest` or a tag. */
  reference: string;
  platform?: Platform | undefined;
  auth?: RegistryAuth | undefined;
}

export interface PushRequest {
  /** With a tag; without one all tags of the repository go. */
  reference: string;
  /** The image must be for it. */
  platform?: Platform | undefined;
  auth?: RegistryAuth | undefined;
}

/** The decoded X-Registry-Auth. Never logged. */
export interface RegistryAuth {
  username?: string | undefined;
  password?: string | undefined;
  serverAddress?: string | undefined;
  identityToken?: string | undefined;
  registryToken?: string | undefined;
}

export interface LoadRequest {
  /** Compressed or not. */
  archive: AsyncIterable<Uint8Array>;
  /** Without the progress of layers. */
  quiet: boolean;
  /** Only images of this one. */
  platform?: Platform | undefined;
}

export interface ImportRequest {
  /** The archive itself, or where it is. */
  tar: AsyncIterable<Uint8Array> | URL;
  repository?: string | undefined;
  tag?: string | undefined;
  message?: string | undefined;
  changes: string[];
  platform?: Platform | undefined;
}

/** One line of Docker's progress stream. `progress` (the drawn bar) is made by the HTTP layer from progressDetail. */
export interface ProgressLine {
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number };
  aux?: Record<string, unknown>;
  stream?: string;
}
