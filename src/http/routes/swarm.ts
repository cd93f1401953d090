import { EngineError } from "../../base/errors.ts";
import type { Route } from "../call.ts";

/** Swarm mode: answered as by a Docker that is no manager. */
export function swarmRoutes(): Route[] {
  return [
    swarm("GET", "/swarm", "SwarmInspect"),
    swarm("POST", "/swarm/init", "SwarmInit"),
    swarm("POST", "/swarm/join", "SwarmJoin"),
    swarm("POST", "/swarm/leave", "SwarmLeave"),
    swarm("POST", "/swarm/update", "SwarmUpdate"),
    swarm("GET", "/swarm/unlockkey", "SwarmUnlockkey"),
    swarm("POST", "/swarm/unlock", "SwarmUnlock"),
    swarm("GET", "/nodes", "NodeList"),
    swarm("GET", "/nodes/{id}", "NodeInspect"),
    swarm("DELETE", "/nodes/{id}", "NodeDelete"),
    swarm("POST", "/nodes/{id}/update", "NodeUpdate"),
    swarm("GET", "/services", "ServiceList"),
    swarm("POST", "/services/create", "ServiceCreate"),
    swarm("GET", "/services/{id}", "ServiceInspect"),
    swarm("DELETE", "/services/{id}", "ServiceDelete"),
    swarm("POST", "/services/{id}/update", "ServiceUpdate"),
    swarm("GET", "/services/{id}/logs", "ServiceLogs"),
    swarm("GET", "/tasks", "TaskList"),
    swarm("GET", "/tasks/{id}", "TaskInspect"),
    swarm("GET", "/tasks/{id}/logs", "TaskLogs"),
    swarm("GET", "/secrets", "SecretList"),
    swarm("POST", "/secrets/create", "SecretCreate"),
    swarm("GET", "/secrets/{id}", "SecretInspect"),
    swarm("DELETE", "/secrets/{id}", "SecretDelete"),
    swarm("POST", "/secrets/{id}/update", "SecretUpdate"),
    swarm("GET", "/configs", "ConfigList"),
    swarm("POST", "/configs/create", "ConfigCreate"),
    swarm("GET", "/configs/{id}", "ConfigInspect"),
    swarm("DELETE", "/configs/{id}", "ConfigDelete"),
    swarm("POST", "/configs/{id}/update", "ConfigUpdate"),
  ];
}

function swarm(method: Route["method"], path: string, operation: string): Route {
  return {
    method,
    path,
    operation,
    missing: true,
    handle() {
      throw new EngineError(
        "unavailable",
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      );
    },
  };
}
