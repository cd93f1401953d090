import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, expect, test, vi } from "vitest";

import { hasDockerCli } from "../src/testing/daemon.ts";
import { useDaemon } from "./harness.ts";

/** The collector: what the policy of the config file does not keep goes by itself after a build. */

const folder = mkdtempSync("/tmp/tsubo-build-policy-");
const config = path.join(folder, "daemon.json");
writeFileSync(config, JSON.stringify({ builder: { gc: { policy: [{ maxUsedSpace: "100kb", all: true }] } } }));
const daemon = useDaemon({ flags: [`--config-file=${config}`] });
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(!hasDockerCli())("the cache shrinks to its limit, and images stay whole", { timeout: 60_000 }, async () => {
  const dockerfile = `FROM busybox AS one
RUN head -c 300000 /dev/zero > /one
FROM busybox
COPY --from=one /one /copy
RUN --mount=type=cache,target=/c head -c 50000 /dev/zero > /c/f
`;
  writeFileSync(path.join(folder, "Dockerfile"), dockerfile);
  const { code, stderr } = await daemon().run([daemon().pathOf("docker"), "build", "-t", "kept", folder], {
    env: { DOCKER_BUILDKIT: "0" },
  });
  expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
  await vi.waitFor(
    async () => {
      const answer = await daemon().api("GET", "/v1.50/system/df?type=build-cache");
      // The shape is the Engine API's.
      const { BuildCache: rows } = answer.json() as { BuildCache: { Description: string }[] };
      expect(rows.map(({ Description }) => Description.replace(/:.* in/, "")).toSorted()).toEqual([
        "COPY file /copy",
        "RUN head -c 50000 /dev/zero > /c/f",
        "cached mount /c",
      ]);
    },
    { timeout: 20_000 },
  );
  expect(await daemon().dockerOk("run", "--rm", "kept", "wc", "-c", "/copy")).toBe("300000 /copy");
});
