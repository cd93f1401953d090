import type { Database } from "../../../store/database.ts";
import type { LayerDriver } from "../../../store/layers.ts";

/**
 * What operations came to, by their keys. A result is there for as long as its layer is, and keeps no layer: what images and containers do not
 * need goes, and the result with it.
 */
export interface Results {
  find(key: string): string | undefined;
  /** Of a layer that is committed. Not made durable: what a crash takes is done again. */
  add(keys: string[], chainId: string): void;
}

export function openResults(database: Database, layers: LayerDriver): Results {
  const select = database.sql.prepare("SELECT chain_id FROM operation_results WHERE key = ?");
  return {
    find(key) {
      const chainId = select.get(key)?.["chain_id"];
      return typeof chainId === "string" && layers.has(chainId) ? chainId : undefined;
    },
    add(keys, chainId) {
      database.write((sql) => {
        const insert = sql.prepare("INSERT OR REPLACE INTO operation_results (key, chain_id) VALUES (?, ?)");
        for (const key of keys) insert.run(key, chainId);
      });
    },
  };
}
