import { expect, test } from "vitest";

import { parseRuntimeVersion, readRuntimeVersions, SERVER_VERSION } from "./component-versions.ts";

test("what crun and runc say of themselves", () => {
  expect(parseRuntimeVersion("crun version 1.8.1\ncommit: f8a096be06\nrundir: /run/crun\n")).toEqual({
    version: "1.8.1",
    commit: "f8a096be06",
  });
  expect(parseRuntimeVersion("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1\nspec: 1.0.2-dev\n")).toEqual({
    version: "1.1.5+ds1",
    commit: "1.1.5+ds1-1",
  });
  expect(parseRuntimeVersion("runsc version release-2023\nspec: 1.1.0-rc.1\n")).toEqual({ version: "release-2023", commit: "" });
});

test("a runtime that is not there has no version and holds nobody up", async () => {
  const versions = await readRuntimeVersions([{ name: "gone", path: "/nonexistent/runtime", args: [] }]);
  expect(versions).toEqual(new Map([["gone", { version: "", commit: "" }]]));
});

test("the server's version reads as a Docker release with a channel", () => {
  // What minikube does with it.
  const [major = "", minor = "", patch = ""] = SERVER_VERSION.split("-")[0]?.split(".") ?? [];
  expect([major, minor, patch].every((part) => /^\d+$/.test(part))).toBe(true);
  expect(Number(major)).toBeGreaterThanOrEqual(18);
});
