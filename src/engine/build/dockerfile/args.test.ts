import { expect, test } from "vitest";

import { globalArgValues, platformArgs, PROXY_ARGS } from "./args.ts";
import { parseDockerfile } from "./parse.ts";

test("proxies in both cases", () => {
  expect(PROXY_ARGS.size).toBe(10);
  expect(PROXY_ARGS).toContain("https_proxy");
  expect(PROXY_ARGS).toContain("NO_PROXY");
});

test("what is known of the platforms", () => {
  const build = { os: "linux", architecture: "amd64" };
  const args = platformArgs({ build, target: { os: "linux", architecture: "arm", variant: "v7" }, stage: undefined });
  expect(Object.fromEntries(args)).toMatchObject({
    BUILDPLATFORM: "linux/amd64",
    BUILDVARIANT: "",
    TARGETPLATFORM: "linux/arm/v7",
    TARGETOS: "linux",
    TARGETARCH: "arm",
    TARGETVARIANT: "v7",
    TARGETSTAGE: "default",
  });
});

test("global ARGs: given before default, and each may use those above it", () => {
  const file = parseDockerfile("ARG a=1 b=${a}2\nARG c\nARG d=$c$b$TARGETARCH\nARG e\nFROM scratch\n");
  const values = globalArgValues(
    file,
    new Map([
      ["a", "x"],
      ["e", ""],
    ]),
    new Map([["TARGETARCH", "arm"]]),
  );
  expect(Object.fromEntries(values)).toEqual({ TARGETARCH: "arm", a: "x", b: "x2", d: "x2arm", e: "" });
});
