import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { splitFrames } from "./keeper/streams.ts";

/**
 * Containers come and go while daemon and keeper are killed at any moment, one at a time: whatever was acknowledged is there in the end, with
 * every line it wrote and its exit code.
 */

const daemon = useDaemon();

const LASTS_MS = 12_000;
const CLIENTS = 3;
const LOG = "line 1\nline 2\nline 3\nline 4\nline 5";

interface Acknowledged {
  created: string[];
  started: { name: string; exitCode: number }[];
}

test("no acknowledged container, line or exit code is lost by kill -9", async () => {
  const untilMs = Date.now() + LASTS_MS;
  const goOn = (): boolean => Date.now() < untilMs;
  const acknowledged: Acknowledged = { created: [], started: [] };
  await Promise.all([killInTurns(goOn), ...Array.from({ length: CLIENTS }, (_none, client) => runContainers(acknowledged, client, goOn))]);

  const { created, started } = acknowledged;
  expect(started.length).toBeGreaterThan(10);
  const names = await daemon().dockerOk("ps", "-a", "--format", "{{.Names}}");
  expect(names.split("\n")).toEqual(expect.arrayContaining(created));
  for (const { name, exitCode } of started) {
    await expect.poll(() => endOf(name), { timeout: 10_000, message: name }).toBe(`exited ${exitCode}: ${LOG}`);
  }
});

async function endOf(name: string): Promise<string> {
  const { State } = (await daemon().api("GET", `/containers/${name}/json`)).json() as { State: { Status: string; ExitCode: number } };
  const logs = await daemon().api("GET", `/containers/${name}/logs?stdout=1`);
  return `${State.Status} ${State.ExitCode}: ${splitFrames(Buffer.from(logs.text)).stdout.trim()}`;
}

async function runContainers({ created, started }: Acknowledged, client: number, goOn: () => boolean): Promise<void> {
  for (let index = 0; goOn(); index += 1) {
    const name = `chaos-${client}-${index}`;
    const exitCode = index % 100;
    const script = `for i in 1 2 3 4 5; do echo line $i; sleep 0.0${index % 9}; done; exit ${exitCode}`;
    try {
      const made = await daemon().api("POST", `/containers/create?name=${name}`, { Image: "busybox", Cmd: ["sh", "-c", script] });
      if (made.status === 201) created.push(name);
      if ((await daemon().api("POST", `/containers/${name}/start`)).status === 204) started.push({ name, exitCode });
    } catch {
      // There is no daemon just now.
      await sleep(20);
    }
  }
}

/** What a daemon holds of a container's output lives as long as it does, so a keeper gets the time to come back. */
async function killInTurns(goOn: () => boolean): Promise<void> {
  for (let turn = 0; goOn(); turn += 1) {
    await sleep(200 + Math.random() * 800);
    if (turn % 3 !== 2) {
      await daemon().kill();
      await daemon().start();
      continue;
    }
    await daemon().killKeeper();
    await expect.poll(() => daemon().keeperPid(), { timeout: 10_000 }).toBeDefined();
    await sleep(1000);
  }
}
