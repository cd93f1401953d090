import { expect, test } from "vitest";

import { CAPABILITIES } from "../../kernel/host.ts";
import { chooseCapabilities, DEFAULT_CAPABILITIES } from "./capabilities.ts";

const all = new Set(CAPABILITIES);
const choose = (add: string[], drop: string[], available: ReadonlySet<string> = all): string[] =>
  chooseCapabilities({ privileged: false, add, drop }, available);

test("the default fourteen", () => {
  expect(choose([], [])).toEqual(DEFAULT_CAPABILITIES);
  expect(DEFAULT_CAPABILITIES).toHaveLength(14);
});

test("adding, dropping, and ALL on either side", () => {
  expect(choose(["net_admin", "CAP_SYS_TIME"], ["mknod"])).toEqual([
    ...DEFAULT_CAPABILITIES.filter((name) => name !== "CAP_MKNOD"),
    "CAP_NET_ADMIN",
    "CAP_SYS_TIME",
  ]);
  expect(choose(["ALL"], ["SYS_ADMIN"])).toEqual(CAPABILITIES.filter((name) => name !== "CAP_SYS_ADMIN"));
  expect(choose(["CHOWN"], ["all"])).toEqual(["CAP_CHOWN"]);
  expect(choose([], ["ALL"])).toEqual([]);
  expect(choose(["CHOWN"], [])).toEqual(DEFAULT_CAPABILITIES);
});

test("privileged and ALL give no more than we hold", () => {
  const some = new Set(["CAP_CHOWN", "CAP_KILL"]);
  expect(chooseCapabilities({ privileged: true, add: [], drop: ["CHOWN"] }, some)).toEqual(["CAP_CHOWN", "CAP_KILL"]);
  expect(choose(["ALL"], ["KILL"], some)).toEqual(["CAP_CHOWN"]);
});

test("what does not exist or cannot be given is refused", () => {
  expect(() => choose(["fly"], [])).toThrow('unknown capability: "CAP_FLY"');
  expect(() => choose([], ["SYS_RESOURCE"], new Set(["CAP_CHOWN"]))).toThrow(
    'capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"',
  );
});
