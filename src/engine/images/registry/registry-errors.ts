import { STATUS_CODES } from "node:http";

import { EngineError } from "../../../base/errors.ts";
import { parseChallenges } from "./challenge.ts";
import { familiarName, familiarReference, type Reference } from "../reference.ts";

/**
 * A registry's refusals in Docker's words. Registries answer `{"errors":[{"code","message","detail"}]}` (distribution-spec, "Error codes");
 * Docker shows the first as `code in words: message`.
 */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** What an answer that is no success means for a pull of `reference`. */
export function pullError(answer: Answer, reference: Reference): EngineError {
  const { code, message } = readError(answer);
  const words = wordsOf({ code, message });
  switch (code) {
    case "DENIED":
      return new EngineError(
        "notFound",
        `pull access denied for ${familiarName(reference)}, repository does not exist or may require 'docker login': ${words}`,
      );
    case "MANIFEST_UNKNOWN":
      return new EngineError("notFound", `manifest for ${familiarReference(reference)} not found: ${words}`);
    case "NAME_UNKNOWN":
      return new EngineError("notFound", `repository ${familiarName(reference)} not found: ${words}`);
    default:
      // UNAUTHORIZED too, as in Docker: on a 401 the CLI would ask for a password, in scripts as well.
      return new EngineError("system", words);
  }
}

/** What an answer that is no success means for a push. */
export function pushError(answer: Answer): EngineError {
  const isUnsaid = answer.status === 404 && firstError(answer.body) === undefined;
  return new EngineError("system", isUnsaid ? unexpected(answer.status) : wordsOf(readError(answer)));
}

const KINDS: Record<number, "unauthorized" | "forbidden" | "notFound"> = { 401: "unauthorized", 403: "forbidden", 404: "notFound" };

/** What it means for who only wants to know what is there. */
export function inspectError(answer: Answer): EngineError {
  return new EngineError(KINDS[answer.status] ?? "system", wordsOf(readError(answer)));
}

/** `DENIED`, where the registry says it so. */
export function errorCodeOf({ body }: Answer): string | undefined {
  return firstError(body)?.code;
}

const DENIED = { code: "DENIED", message: "requested access to the resource is denied" };
const UNKNOWN: Record<number, { code: string; message: string }> = {
  401: { code: "UNAUTHORIZED", message: "authentication required" },
  403: DENIED,
  404: { code: "MANIFEST_UNKNOWN", message: "manifest unknown" },
  429: { code: "TOOMANYREQUESTS", message: "too many requests" },
};
const MAX_SHOWN = 300;

function readError({ status, headers, body }: Answer): { code: string; message: string } {
  // Docker Hub lets in everybody, with a token that opens nothing: its word for a repository that is private or not there.
  const isScopeMissing = parseChallenges(headers["www-authenticate"] ?? "").some(
    ({ scheme, parameters }) => scheme === "bearer" && parameters.get("error") === "insufficient_scope",
  );
  if (status === 401 && isScopeMissing) return DENIED;
  const first = firstError(body);
  if (first !== undefined) return first;
  const known = UNKNOWN[status];
  if (known !== undefined) return known;
  return { code: "", message: unexpected(status) };
}

function unexpected(status: number): string {
  return `received unexpected HTTP status: ${status} ${STATUS_CODES[status] ?? ""}`.trimEnd();
}

/** `code in words: message`, as a registry or token server says it; undefined when it says nothing readable. */
export function errorWords(body: Buffer): string | undefined {
  const first = firstError(body);
  return first && wordsOf(first);
}

function wordsOf({ code, message }: { code: string; message: string }): string {
  return code === "" ? message : `${code.toLowerCase().replaceAll("_", " ")}: ${message}`;
}

function firstError(body: Buffer): { code: string; message: string } | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || !("errors" in parsed) || !Array.isArray(parsed.errors)) return undefined;
  const [first] = parsed.errors as unknown[];
  if (typeof first !== "object" || first === null || !("code" in first) || typeof first.code !== "string") return undefined;
  const message = "message" in first && typeof first.message === "string" ? first.message : "";
  return { code: first.code.slice(0, MAX_SHOWN), message: message.slice(0, MAX_SHOWN) || first.code.toLowerCase().replaceAll("_", " ") };
}
