import { EngineError } from "../../base/errors.ts";
import { json, type Route } from "../call.ts";
import { notYet } from "./missing.ts";

/** Managed plugins: none is installed. */
export function pluginRoutes(): Route[] {
  return [
    { method: "GET", path: "/plugins", operation: "PluginList", handle: () => json([]) },
    notYet("GET", "/plugins/privileges", "GetPluginPrivileges"),
    {
      method: "GET",
      path: "/plugins/{name:.*}/json",
      operation: "PluginInspect",
      handle({ name }) {
        throw new EngineError("notFound", `plugin "${name}" not found`);
      },
    },
    notYet("POST", "/plugins/pull", "PluginPull"),
    notYet("POST", "/plugins/create", "PluginCreate"),
    notYet("POST", "/plugins/{name:.*}/enable", "PluginEnable"),
    notYet("POST", "/plugins/{name:.*}/disable", "PluginDisable"),
    notYet("POST", "/plugins/{name:.*}/upgrade", "PluginUpgrade"),
    notYet("POST", "/plugins/{name:.*}/push", "PluginPush"),
    notYet("POST", "/plugins/{name:.*}/set", "PluginSet"),
    notYet("DELETE", "/plugins/{name:.*}", "PluginDelete"),
  ];
}
