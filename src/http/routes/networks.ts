import { EngineError } from "../../base/errors.ts";
import type { Networks } from "../../engine/networks/networks.ts";
import { json, type Route } from "../call.ts";
import { notYet } from "./missing.ts";

export function networkRoutes(networks: Networks): Route[] {
  const list: Route["handle"] = ({ query }) => json(networks.list(query.filters()));
  return [
    { method: "GET", path: "/networks", operation: "NetworkList", handle: list },
    // Docker routes the trailing slash too.
    { method: "GET", path: "/networks/", operation: "NetworkList", handle: list },
    {
      method: "GET",
      path: "/networks/{id:.+}",
      operation: "NetworkInspect",
      handle: ({ name, query }) => {
        const verbose = query.text("verbose");
        if (verbose !== undefined && !/^(?:1|t|true|0|f|false)$/i.test(verbose))
          throw new EngineError(
            "invalid",
            `invalid value for verbose: ${verbose}: strconv.ParseBool: parsing "${verbose}": invalid syntax`,
          );
        return json(networks.inspect(name));
      },
    },
    notYet("POST", "/networks/create", "NetworkCreate"),
    notYet("POST", "/networks/{id:.*}/connect", "NetworkConnect"),
    notYet("POST", "/networks/{id:.*}/disconnect", "NetworkDisconnect"),
    { method: "POST", path: "/networks/prune", operation: "NetworkPrune", handle: ({ query }) => pruneNone(query.filters()) },
    notYet("DELETE", "/networks/{id:.*}", "NetworkDelete"),
  ];
}

const PRUNE_FILTERS = new Set(["label", "label!", "until"]);

/** There are no networks but the three that are never removed. */
function pruneNone(filters: Map<string, string[]>): ReturnType<typeof json> {
  for (const name of filters.keys()) if (!PRUNE_FILTERS.has(name)) throw new EngineError("invalid", `invalid filter '${name}'`);
  return json({ NetworksDeleted: null });
}
