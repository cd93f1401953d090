import { readdir, rm, stat, statfs } from "node:fs/promises";
import path from "node:path";

import { messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { nowNs, parseTimestamp } from "../../../base/time.ts";
import type { Database } from "../../../store/database.ts";
import { paths, type Roots } from "../../../store/roots.ts";
import type { Images } from "../../images/images.ts";
import type { CacheMounts } from "./cache-mounts.ts";
import { type CacheRecord, chooseVictims, type PruneRule } from "./choose.ts";
import { parseCacheFilters } from "./filters.ts";
import { type CachePolicy, rulesOf } from "./policy.ts";
import { openStepUses } from "./step-uses.ts";

/**
 * The life of the build cache: what is in it, what is used of it, and what goes.
 *
 * Words. A *record* is one thing in it: the image of a step (`regular`), what a RUN --mount=type=cache keeps (`exec.cachemount`), or the
 * sums of a context's files (`source.local`). A step is *needed* when it has a name, was what a build came to, is used by a container or a
 * running build, or when such an image was made from it: then it is an image like any other, and only `rmi` and `image prune` remove it.
 * A *policy* is a list of rules; after builds, at most once a minute, the collector applies it.
 *
 * State. The images' records and rows of step_uses; folders below cache-mounts/ and files below stat-caches/.
 */
export interface BuildCache {
  /** A step was found in it. */
  noteUse(imageId: string): void;
  list(): Promise<CacheRecord[]>;
  prune(request: PruneRequest, signal?: AbortSignal): Promise<PruneResult>;
  /** Applies the policy in the background, soon. */
  collectSoon(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface PruneRequest {
  /** Mounts and sums, too; else only steps that nothing else needs, unless the filters say which kind of records they mean. */
  all: boolean;
  filters: ReadonlyMap<string, readonly string[]>;
  /** 0: no such limit. */
  reservedBytes: number;
  maxUsedBytes: number;
  minFreeBytes: number;
}

export interface PruneResult {
  deleted: string[];
  reclaimedBytes: number;
}

export interface BuildCacheOptions {
  database: Database;
  roots: Roots;
  log: Log;
  images: Images;
  cacheMounts: CacheMounts;
  policy: CachePolicy;
}

const COLLECT_DELAY_MS = 1000;
const COLLECT_INTERVAL_MS = 60_000;
/** Removed in one go, before the collector looks whether it shall stop. */
const BATCH_SIZE = 50;

export function openBuildCache({ database, roots, log, images, cacheMounts, policy }: BuildCacheOptions): BuildCache {
  const uses = openStepUses(database);
  const closing = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let collecting: Promise<unknown> | undefined;
  let collectedAtMs = Number.NEGATIVE_INFINITY;

  const list = async (): Promise<CacheRecord[]> => [
    ...images.steps().map(({ id, parent, createdBy, createdNs, bytes, ...step }): CacheRecord => {
      const use = uses.of(id);
      return {
        ...step,
        id,
        parents: parent === undefined ? [] : [parent],
        type: "regular",
        description: describeStep(createdBy),
        sizeBytes: bytes,
        createdNs,
        lastUsedNs: use?.lastUsedNs ?? createdNs,
        usageCount: 1 + (use?.uses ?? 0),
      };
    }),
    ...(await cacheMounts.list()).map(({ name, id, bytes, isInUse, created, lastUsed, uses: usageCount }): CacheRecord => ({
      ...UNSHARED,
      id: name,
      type: "exec.cachemount",
      description: `cached mount ${id}`,
      isInUse,
      sizeBytes: bytes,
      createdNs: parseTimestamp(created) ?? 0n,
      lastUsedNs: parseTimestamp(lastUsed) ?? 0n,
      usageCount,
    })),
    ...(await listStatCaches(roots)),
  ];

  const remove = async (records: readonly CacheRecord[], ids: readonly string[]): Promise<PruneResult> => {
    const wanted = new Set(ids);
    const steps = await images.removeSteps(new Set(records.flatMap(({ id, type }) => (type === "regular" && wanted.has(id) ? [id] : []))));
    const result: PruneResult = { deleted: steps.ids, reclaimedBytes: steps.bytes };
    for (const { id, type, sizeBytes } of records) {
      if (!wanted.has(id) || type === "regular") continue;
      if (type === "exec.cachemount" && !(await cacheMounts.remove(id))) continue;
      if (type === "source.local") await rm(path.join(paths.statCaches(roots), id), { force: true });
      result.deleted.push(id);
      result.reclaimedBytes += sizeBytes;
    }
    return result;
  };

  const apply = async (rule: PruneRule, signal: AbortSignal | undefined): Promise<PruneResult> => {
    const total: PruneResult = { deleted: [], reclaimedBytes: 0 };
    const records = await list();
    const { bsize, bavail } = await statfs(roots.data);
    const victims = chooseVictims(records, rule, { nowNs: nowNs(), freeBytes: bsize * bavail });
    for (let begin = 0; begin < victims.length && signal?.aborted !== true; begin += BATCH_SIZE) {
      const { deleted, reclaimedBytes } = await remove(records, victims.slice(begin, begin + BATCH_SIZE));
      total.deleted.push(...deleted);
      total.reclaimedBytes += reclaimedBytes;
    }
    return total;
  };

  const collect = async (): Promise<void> => {
    collectedAtMs = Date.now();
    const { bsize, blocks } = await statfs(roots.data);
    for (const rule of rulesOf(policy, bsize * blocks)) {
      const { deleted, reclaimedBytes } = await apply(rule, closing.signal);
      if (deleted.length > 0)
        log.info({ records: deleted.length, bytes: reclaimedBytes }, "removed what the build cache's policy does not keep");
    }
  };

  return {
    noteUse: (imageId) => uses.note(imageId),
    list,

    prune({ all, filters, ...limits }, signal) {
      const { matches, keepForMs, namesKind } = parseCacheFilters(filters);
      return apply(
        { ...limits, keepForMs, matches: (record) => (all || namesKind || record.type === "regular") && matches(record) },
        signal,
      );
    },

    collectSoon() {
      if (!policy.isEnabled || timer !== undefined || closing.signal.aborted) return;
      const delayMs = Math.max(COLLECT_DELAY_MS, collectedAtMs + COLLECT_INTERVAL_MS - Date.now());
      timer = setTimeout(() => {
        timer = undefined;
        collecting = collect().catch((error: unknown) =>
          log.warn({ error: messageOf(error) }, "collecting what the build cache need not keep"),
        );
      }, delayMs).unref();
    },

    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      closing.abort();
      await collecting;
      uses.close();
    },
  };
}

const UNSHARED = { parents: [], isInUse: false, isNeeded: false, isShared: false } satisfies Partial<CacheRecord>;

/** `/bin/sh -c #(nop)  ENV A=1` and `/bin/sh -c make`, as they stood in the Dockerfile, as far as the history tells. */
function describeStep(createdBy: string): string {
  const nop = createdBy.indexOf("#(nop) ");
  return nop === -1 ? `RUN ${createdBy.replace(/^\/bin\/sh -c /, "")}` : createdBy.slice(nop + "#(nop) ".length).trim();
}

async function listStatCaches(roots: Roots): Promise<CacheRecord[]> {
  const records: CacheRecord[] = [];
  for (const id of await readdir(paths.statCaches(roots))) {
    const stats = await stat(path.join(paths.statCaches(roots), id), { bigint: true }).catch(() => undefined);
    if (stats === undefined) continue;
    const { size, birthtimeNs: createdNs, mtimeNs: lastUsedNs } = stats;
    records.push({
      ...UNSHARED,
      id,
      type: "source.local",
      description: "local source for context",
      sizeBytes: Number(size),
      createdNs,
      lastUsedNs,
      usageCount: 1,
    });
  }
  return records;
}
