import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** A hundred networks and three hundred containers: all of it comes, moves and goes, and nothing is left. The harness looks after that. */

const NETWORKS = 100;
const CONTAINERS = 300;
const AT_ONCE = 8;

const daemon = useDaemon();

async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await daemon().api(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.text === "" ? undefined : answer.json();
}

/** Does it for 0, 1, … some at a time. */
async function each(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const first = (index: number): string => `n${index % NETWORKS}`;
const second = (index: number): string => `n${(index + 7) % NETWORKS}`;

test("a hundred networks, three hundred containers", { timeout: 300_000 }, async () => {
  await each(NETWORKS, (index) =>
    call("POST", "/networks/create", { Name: `n${index}`, IPAM: { Config: [{ Subnet: `10.233.${index}.0/24` }] } }),
  );
  await each(CONTAINERS, async (index) => {
    const body = { Image: "busybox", Cmd: ["sleep", "10000"], HostConfig: { NetworkMode: first(index) } };
    await call("POST", `/containers/create?name=c${index}`, body);
    await call("POST", `/containers/c${index}/start`);
  });
  await each(CONTAINERS, (index) => call("POST", `/networks/${second(index)}/connect`, { Container: `c${index}` }));
  // Those that share a network find each other, by whichever of their two it is.
  for (const [from, to] of [
    [5, 105],
    [5, 298],
    [250, 43],
  ] as const) {
    const { stdout } = await daemon().docker("exec", `c${from}`, "nslookup", "-type=a", `c${to}`, "127.0.0.11");
    const address = /^Address: (10\.233\S+)$/m.exec(stdout)?.[1] ?? "not found";
    expect(await daemon().dockerOk("exec", `c${from}`, "ping", "-c1", "-W2", address)).toContain("1 packets received");
  }
  await daemon().kill();
  await daemon().start();
  await each(CONTAINERS, (index) => call("POST", `/networks/${first(index)}/disconnect`, { Container: `c${index}` }));
  await each(CONTAINERS, (index) => call("DELETE", `/containers/c${index}?force=1`));
  const pruned = await call("POST", "/networks/prune");
  expect(pruned).toMatchObject({ NetworksDeleted: expect.objectContaining({ length: NETWORKS }) });
});
