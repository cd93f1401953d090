import { afterAll, afterEach, beforeAll } from "vitest";

import { openTestDaemon, type TestDaemon, type TestDaemonOptions } from "../src/testing/daemon.ts";

/**
 * One daemon for all tests of a file. After each test all containers are removed and the test fails when anything of them is left:
 * doctor from the inside, `src/testing/leaks.ts` from the outside. After the last one daemon and keeper stop, and the same must hold.
 *
 *     const daemon = useDaemon();
 *     test("…", async () => { expect(await daemon().dockerOk("run", "--rm", "busybox", "echo", "hi")).toBe("hi"); });
 */
export function useDaemon(options: TestDaemonOptions = {}): () => TestDaemon {
  let daemon: TestDaemon | undefined;
  const get = (): TestDaemon => {
    if (daemon === undefined) throw new Error("the daemon is there only while tests run");
    return daemon;
  };

  beforeAll(async () => {
    daemon = await openTestDaemon(options);
    await daemon.start();
    await ensureBusybox(daemon);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.error(`the daemon's log:\n${get().logTail()}`);
    if (get().pid() === undefined) await get().start();
    await get().expectClean();
  });

  afterAll(async () => {
    await daemon?.close();
  });

  return get;
}

/** The embedded image: there without any registry. */
async function ensureBusybox(daemon: TestDaemon): Promise<void> {
  if ((await daemon.api("GET", "/images/busybox/json")).status === 200) return;
  const pulled = await daemon.api("POST", "/images/create?fromImage=busybox&tag=latest");
  if (pulled.status !== 200 || pulled.text.includes("errorDetail"))
    throw new Error(`the embedded image busybox is not there: ${pulled.text}`);
}
