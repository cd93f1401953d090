import type { System } from "../../engine/system/system.ts";
import { type Answer, json, type Route } from "../call.ts";
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
    notYet("GET", "/system/df", "SystemDataUsage"),
    notYet("POST", "/session", "Session"),
    notYet("POST", "/grpc", "Grpc"),
    notYet("GET", "/distribution/{name:.*}/json", "DistributionInspect"),
    notYet("POST", "/commit", "ImageCommit"),
  ];
}
