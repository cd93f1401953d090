import { EngineError } from "../../base/errors.ts";
import type { Route } from "../call.ts";

/** A part of the API that is not there yet: it says so, instead of a 404 that reads like a missing object. */
export function notYet(method: Route["method"], path: string, operation: string): Route {
  return {
    method,
    path,
    operation,
    missing: true,
    handle() {
      throw new EngineError("unimplemented", `${method} ${path.replaceAll(/:[^}]*\}/g, "}")} (${operation}): not implemented by Tsubo yet`);
    },
  };
}
