import { expect, test } from "vitest";

import { parseImageConfig } from "./image-config.ts";

const diffId = `sha256:${"a".repeat(64)}`;
const parse = (value: unknown): unknown => parseImageConfig(Buffer.from(JSON.stringify(value)));
const whole = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [diffId] } };

test("null reads as absent, what is not known is left out, and labels may be called anything", () => {
  const labels = JSON.parse('{"__proto__":"a","constructor":"b"}') as unknown;
  const config = {
    Env: null,
    Cmd: ["a"],
    Volumes: { "/v": { odd: 1 } },
    Labels: labels,
    Unknown: 1,
    Healthcheck: { Test: ["NONE"], Retries: null },
  };
  expect(parse({ ...whole, created: null, history: [{ created_by: "x", empty_layer: true }], config, extra: {} })).toEqual({
    ...whole,
    config: { Cmd: ["a"], Volumes: { "/v": {} }, Labels: labels, Healthcheck: { Test: ["NONE"] } },
    history: [{ created_by: "x", empty_layer: true }],
  });
  expect(parse({ rootfs: {} })).toEqual({ architecture: "", os: "linux", rootfs: { type: "layers", diff_ids: [] } });
});

test.each<[unknown, string]>([
  [[], "the config is no object"],
  [{ ...whole, rootfs: null }, "rootfs is no object"],
  [{ ...whole, rootfs: { diff_ids: ["md5:1"] } }, "something that is no sha256 digest"],
  [{ ...whole, rootfs: { diff_ids: Array.from({ length: 128 }, () => diffId) } }, "it has 128 layers (at most 127)"],
  [{ ...whole, os: 1 }, "os is no text"],
  [{ ...whole, config: { Env: [1] } }, "config.Env holds something that is no text"],
  [{ ...whole, config: { Labels: { a: 1 } } }, "config.Labels holds something that is no text"],
  [{ ...whole, config: { Healthcheck: { Retries: "3" } } }, "config.Healthcheck.Retries is no number"],
  [{ ...whole, history: {} }, "history is no list"],
  [{ ...whole, history: ["x"] }, "history is no object"],
  [{ ...whole, comment: "x".repeat(5_000_000) }, "(at most 4194304)"],
])("%j is refused", (value, message) => {
  expect(() => parse(value)).toThrow(expect.objectContaining({ kind: "invalid", message: expect.stringContaining(message) }));
});
