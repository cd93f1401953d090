import { expect, test } from "vitest";

import {
  CAPABILITIES,
  goArchitecture,
  kernelIsAtLeast,
  parseCapabilities,
  parseHardLimit,
  parseKernelVersion,
  readHostFacts,
} from "./host.ts";

test("versions of kernels", () => {
  expect(["6.18.44-fc", "3.12-rc5", "5.4", "strange"].map(parseKernelVersion)).toEqual([
    { major: 6, minor: 18 },
    { major: 3, minor: 12 },
    { major: 5, minor: 4 },
    { major: 0, minor: 0 },
  ]);
  expect(kernelIsAtLeast({ major: 5, minor: 12 }, 5, 12)).toBe(true);
  expect(kernelIsAtLeast({ major: 5, minor: 11 }, 5, 12)).toBe(false);
  expect(kernelIsAtLeast({ major: 6, minor: 0 }, 5, 12)).toBe(true);
});

test("capability sets as /proc writes them", () => {
  expect(CAPABILITIES).toHaveLength(41);
  expect([...parseCapabilities("00000000a80425fb")]).toHaveLength(14);
  expect(parseCapabilities("000001fffeffffff").has("CAP_SYS_RESOURCE")).toBe(false);
  expect(parseCapabilities("000001ffffffffff").size).toBe(41);
  expect(parseCapabilities("0").size).toBe(0);
});

test("limits and architectures", () => {
  const limits =
    "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n";
  expect(parseHardLimit(limits, "Max open files")).toBe(524_288);
  expect(parseHardLimit(limits.replace("524288", "unlimited"), "Max open files")).toBe(Number.MAX_SAFE_INTEGER);
  expect(["x64", "arm64", "ppc64", "s390x"].map(goArchitecture)).toEqual(["amd64", "arm64", "ppc64le", "s390x"]);
});

test("this host can be read", () => {
  const host = readHostFacts();
  expect(host.kernel.major).toBeGreaterThan(2);
  expect(host.cpuCount).toBeGreaterThan(0);
  expect(host.openFilesHardLimit).toBeGreaterThan(0);
});
