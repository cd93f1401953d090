import { JobError } from "../../../store/child/serve.ts";
import type { TlsSettings } from "./tls-settings.ts";

/** Where a registry sends its clients, and what they may take along. */

/** Where a redirect leads; undefined when it is none. One from https to http is refused. */
export function redirectTarget(response: { status: number; headers: Record<string, string> }, url: string): string | undefined {
  const location = response.headers["location"];
  return [301, 302, 303, 307, 308].includes(response.status) && location !== undefined ? followed(location, url) : undefined;
}

/** The address that a `Location` means, seen from the one that answered with it. */
export function followed(location: string, url: string): string {
  if (!URL.canParse(location, url)) throw new JobError(`GET "${url}": redirect to an invalid URL`, {});
  const target = new URL(location, url);
  const isDowngrade = new URL(url).protocol === "https:" && target.protocol !== "https:";
  if (isDowngrade || !/^https?:$/.test(target.protocol)) {
    throw new JobError(`GET "${url}": redirect to ${target.protocol}//${target.host}, which is less safe, refused`, {});
  }
  return target.href;
}

export function headersAfterRedirect(request: { url: string; headers: Record<string, string> }, target: string): Record<string, string> {
  if (new URL(target).origin === new URL(request.url).origin) return request.headers;
  return Object.fromEntries(Object.entries(request.headers).filter(([name]) => name.toLowerCase() !== "authorization"));
}

/** Another host is held to its own certificates, whatever was allowed for the first. */
export function tlsAfterRedirect(request: { url: string; tls: TlsSettings }, target: string): TlsSettings {
  const host = new URL(target).host;
  return host === new URL(request.url).host ? request.tls : { ...request.tls, host, insecure: false };
}
