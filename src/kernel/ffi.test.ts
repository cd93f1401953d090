import { expect, test } from "vitest";

import { checked, errno, libc } from "./ffi.ts";

const access = libc("int access(const char *path, int mode)");
const textToLong = libc("long strtol(const char *text, void *end, int base)");

const OUT_OF_RANGE = "9".repeat(30);

test("errno is the failed call's, whatever has changed it since", () => {
  const failed = access("/none/such", 0) as number;
  // Gives the largest number, and leaves ERANGE.
  expect(Number(textToLong(OUT_OF_RANGE, null, 10))).toBeGreaterThan(0);
  expect(() => checked("access", failed, "/none/such")).toThrow("access /none/such: ENOENT");
});

test("and the last one's", () => {
  access("/none/such", 0);
  access("/proc/self/stat/none", 0);
  expect(errno()).toBe(20);
});
