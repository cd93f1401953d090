import { mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../base/errors.ts";
import { openLog } from "../base/log.ts";
import { serveKeeper } from "../keeper/server.ts";
import { ALL_WAYS, type RuntimeWays } from "../kernel/runtime.ts";
import { paths } from "../store/roots.ts";

/**
 * The keeper's program. The daemon starts it (keeper/client.ts) with `--exec-root` and `--data-root`; `--without WAY` turns one of the
 * faster ways of kernel/runtime.ts off.
 */
async function main(): Promise<void> {
  const log = openLog("tsubo-keeper", process.env["TSUBO_KEEPER_LOG_LEVEL"] === "debug" ? "debug" : "info");
  try {
    const { values } = parseArgs({
      options: {
        "exec-root": { type: "string" },
        "data-root": { type: "string" },
        without: { type: "string", multiple: true },
        "idle-limit-ms": { type: "string" },
      },
    });
    const { "exec-root": exec, "data-root": data } = values;
    if (exec === undefined || data === undefined) throw new Error("usage: tsubo-keeper --exec-root PATH --data-root PATH");
    const roots = { exec: path.resolve(exec), data: path.resolve(data) };
    mkdirSync(roots.exec, { recursive: true, mode: 0o711 });
    // Not to hold the folder the daemon was started in.
    process.chdir("/");
    const idleLimit = values["idle-limit-ms"];
    const outcome = await serveKeeper({
      places: {
        socket: paths.keeperSocket(roots),
        lock: paths.keeperLock(roots),
        bundles: paths.bundles(roots),
        runtimeState: paths.runtime(roots),
        consoleSockets: paths.pty(roots),
        seccompFilters: paths.seccompFilters(roots),
        spill: paths.spill(roots),
      },
      ways: waysWithout(values.without ?? []),
      log,
      ...(idleLimit === undefined ? {} : { idleLimitMs: Number(idleLimit) }),
    });
    if (outcome === "taken") log.info("another keeper serves this exec root");
    process.exitCode = 0;
  } catch (error) {
    log.fatal({ error: messageOf(error) }, "the keeper cannot run");
    process.exitCode = 1;
  }
  // A thread of the pool may be waiting for descriptors still.
  process.exit();
}

function waysWithout(names: readonly string[]): RuntimeWays {
  const unknown = names.filter((name) => !Object.hasOwn(ALL_WAYS, name));
  if (unknown.length > 0) throw new Error(`--without ${unknown.join(", ")}: there is only ${Object.keys(ALL_WAYS).join(", ")}`);
  return { ...ALL_WAYS, ...Object.fromEntries(names.map((name) => [name, false])) };
}

void main();
