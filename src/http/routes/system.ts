import type { ApiVersion } from "../../api/versions.ts";
import { EngineError } from "../../base/errors.ts";
import { DISK_USAGE_PARTS, type DiskUsagePart } from "../../engine/system/disk-usage.ts";
import type { System } from "../../engine/system/system.ts";
import { type Answer, json, type Route } from "../call.ts";
import { diskUsageJson } from "../disk-usage-shape.ts";
import type { Query } from "../query.ts";
import { adaptInfo } from "../shims.ts";
import { notYet } from "./missing.ts";

const PING_HEADERS = {
  "Builder-Version": "1",
  "Cache-Control": "no-cache, no-store, must-revalidate",
  Pragma: "no-cache",
  Swarm: "inactive",
};

export function systemRoutes(system: System): Route[] {
  return [
    { method: "OPTIONS", path: "/{anyroute:.*}", operation: "Options", handle: (): Answer => ({ kind: "empty", status: 200 }) },
    {
      method: "GET",
      path: "/_ping",
      operation: "SystemPing",
      handle: (): Answer => ({ kind: "text", status: 200, text: "OK", headers: PING_HEADERS }),
    },
    {
      method: "HEAD",
      path: "/_ping",
      operation: "SystemPingHead",
      handle: (): Answer => ({ kind: "text", status: 200, text: "", headers: PING_HEADERS }),
    },
    {
      method: "GET",
      path: "/info",
      operation: "SystemInfo",
      handle: async ({ version }) => json(adaptInfo(await system.info(), version)),
    },
    { method: "GET", path: "/version", operation: "SystemVersion", handle: async () => json(await system.version()) },
    { method: "GET", path: "/tsubo/doctor", operation: "TsuboDoctor", handle: async () => json(await system.doctor()) },
    { method: "GET", path: "/tsubo/lag", operation: "TsuboLag", handle: ({ query }) => json(system.lag(query.flag("reset"))) },
    {
      method: "GET",
      path: "/system/df",
      operation: "SystemDataUsage",
      handle: async ({ query, version }) => json(diskUsageJson(await system.diskUsage(partsOf(query, version)), version)),
    },
    notYet("POST", "/session", "Session"),
    notYet("POST", "/grpc", "Grpc"),
  ];
}

/** What `type=` names; everything where it names nothing, and for clients from before there was a choice. */
function partsOf(query: Query, version: ApiVersion): Set<DiskUsagePart> {
  const asked = version < 1042 ? [] : query.all("type");
  const parts = asked.map((name) => {
    const part = DISK_USAGE_PARTS.find((known) => known === name);
    if (part === undefined) throw new EngineError("invalid", `unknown object type: ${name}`);
    return part;
  });
  return new Set(parts.length === 0 ? DISK_USAGE_PARTS : parts);
}
