import { encodeJson } from "../../api/json.ts";
import type { HistoryEntry } from "./image-config.ts";

/** The image that another one is made from: what of its config goes on into the child's. */
export interface ParentFacts {
  architecture: string;
  variant?: string | undefined;
  os: string;
  "os.version"?: string | undefined;
  diffIds: string[];
  history: HistoryEntry[];
}

/** What a commit or a build's step adds. */
export interface ChildFacts {
  author: string;
  comment: string;
  created: string;
  /** What history shows as having made it. */
  createdBy: string;
  /** With all members of Go's container.Config, in its order. */
  config: Record<string, unknown>;
  /** The config of the container that it was made in. */
  containerConfig: Record<string, unknown>;
  /** Of a container that there was, or is said to have been. */
  containerId: string | undefined;
  /** Undefined: the files are the parent's. */
  diffId: string | undefined;
  /** As `docker version` has it. */
  serverVersion: string;
}

/**
 * The config of an image made from another, byte for byte as Docker writes it (moby image/image.go, NewChildImage): top members in
 * alphabetical order, those of the configs in that of Go's struct, `<`, `>` and `&` escaped.
 */
export function childImageJson(parent: ParentFacts, child: ChildFacts): { bytes: Buffer; history: HistoryEntry[] } {
  const own: HistoryEntry = {
    created: child.created,
    ...(child.author === "" ? {} : { author: child.author }),
    ...(child.createdBy === "" ? {} : { created_by: child.createdBy }),
    ...(child.comment === "" ? {} : { comment: child.comment }),
    ...(child.diffId === undefined ? { empty_layer: true } : {}),
  };
  const history = [...parent.history, own];
  const diffIds = [...parent.diffIds, ...(child.diffId === undefined ? [] : [child.diffId])];
  const version = parent["os.version"] ?? "";
  const members = {
    architecture: parent.architecture,
    ...(child.author === "" ? {} : { author: child.author }),
    config: child.config,
    ...(child.containerId === undefined ? {} : { container: child.containerId }),
    container_config: child.containerConfig,
    created: child.created,
    docker_version: child.serverVersion,
    history: history.map(inOrder),
    os: parent.os,
    ...(version === "" ? {} : { "os.version": version }),
    rootfs: { type: "layers", ...(diffIds.length === 0 ? {} : { diff_ids: diffIds }) },
    ...(parent.variant === undefined || parent.variant === "" ? {} : { variant: parent.variant }),
  };
  return { bytes: encodeConfig(members), history };
}

/** As Go's struct has them. */
function inOrder({ created, author, created_by: createdBy, comment, empty_layer: isEmpty }: HistoryEntry): Record<string, unknown> {
  const members = Object.entries({ created, author, created_by: createdBy, comment, empty_layer: isEmpty });
  return Object.fromEntries(members.filter(([, value]) => value !== undefined && value !== "" && value !== false));
}

/** As Go's encoder writes it. */
export function encodeConfig(members: Record<string, unknown>): Buffer {
  return Buffer.from(escapeHtml(encodeJson(members)));
}

function escapeHtml(json: string): string {
  return json.replaceAll(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
