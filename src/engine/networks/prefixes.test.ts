import { expect, test } from "vitest";

import { doOverlap, formatIp, formatPrefix, isIn, lastIn, parseIp, parsePrefix } from "./prefixes.ts";

test.each([
  ["172.17.0.1", "172.17.0.1"],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["fd00:0:0:0:0:0:0:10", "fd00::10"],
  ["0:0:1:0:0:0:0:0", "0:0:1::"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ["100:10:0:0:1000:0:0:0", "100:10:0:0:1000::"],
])("%s is %s in short", (text, short) => {
  const address = parseIp(text);
  expect(address && formatIp(address)).toBe(short);
});

test.each(["", "10.0.0", "10.0.0.256", "fe80::1%eth0", ":::", "1:2:3:4:5:6:7:8:9", "x"])("%j is no address", (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test("a block begins where its bits end", () => {
  const wide = parsePrefix("172.17.5.1/16");
  expect(wide && formatPrefix(wide.prefix)).toBe("172.17.0.0/16");
  expect(wide && lastIn(wide.prefix)).toBe(parseIp("172.17.255.255")?.value);
  const local = parsePrefix("fd12:3456:789a:bcde::5/48");
  expect(local && formatPrefix(local.prefix)).toBe("fd12:3456:789a::/48");
  for (const wrong of ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/8/8"]) expect(parsePrefix(wrong)).toBeUndefined();
});

test("blocks overlap and hold addresses within their family only", () => {
  const block = (text: string): NonNullable<ReturnType<typeof parsePrefix>>["prefix"] => {
    const parsed = parsePrefix(text);
    if (parsed === undefined) throw new Error(text);
    return parsed.prefix;
  };
  expect(doOverlap(block("10.0.0.0/8"), block("10.9.0.0/16"))).toBe(true);
  expect(doOverlap(block("10.0.0.0/16"), block("10.1.0.0/16"))).toBe(false);
  expect(doOverlap(block("0.0.0.0/0"), block("::/0"))).toBe(false);
  expect(isIn(block("10.1.0.0/16"), { family: 4, value: parseIp("10.1.255.255")?.value ?? 0n })).toBe(true);
  expect(isIn(block("::/0"), { family: 4, value: 1n })).toBe(false);
});
