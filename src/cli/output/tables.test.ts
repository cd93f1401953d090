import { expect, test } from "vitest";

import { formatPorts } from "./containers-list.ts";
import { ellipsis, layOut } from "./table.ts";
import { formatAge, formatMemory, formatNanoseconds, formatSize } from "./units.ts";

test("columns are as wide as their widest cell and the padding, and a line without a cell ends its column", () => {
  expect(layOut("A\tLONG HEADING\tLAST\nlonger than ten\tx\ty\n", 10, 3)).toBe(
    "A                 LONG HEADING   LAST\nlonger than ten   x              y\n",
  );
  expect(layOut("a\tb\nalone\nlonger cell\tc", 0, 1)).toBe("a b\nalone\nlonger cell c");
  expect(layOut("名前\tx\nab\ty", 0, 2)).toBe("名前  x\nab    y");
});

test.each([
  ["sh -c 'a long command line'", 20, "sh -c 'a long comma…"],
  ["exactly twenty chars", 20, "exactly twenty chars"],
  ["日本語", 5, "日本…"],
])("%s fits %d columns", (text, width, expected) => {
  expect(ellipsis(text, width)).toBe(expected);
});

test.each([
  [0, 3, "0B"],
  [999, 3, "999B"],
  [1000, 3, "1kB"],
  [4_256_789, 3, "4.26MB"],
  [123_456_789, 4, "123.5MB"],
  [1e15, 4, "1PB"],
])("%d bytes in %d digits", (bytes, digits, expected) => {
  expect(formatSize(bytes, digits)).toBe(expected);
});

test("memory has binary units", () => {
  expect([0, 1023, 1024, 25_276_502_016].map(formatMemory)).toEqual(["0B", "1023B", "1KiB", "23.54GiB"]);
});

test.each([
  [0.4, "Less than a second"],
  [1, "1 second"],
  [59, "59 seconds"],
  [60, "About a minute"],
  [119, "About a minute"],
  [120, "2 minutes"],
  [3599, "59 minutes"],
  [3600, "About an hour"],
  [2 * 3600 - 1801, "About an hour"],
  [47 * 3600, "47 hours"],
  [48 * 3600, "2 days"],
  [14 * 86_400, "2 weeks"],
  [60 * 86_400, "2 months"],
  [730 * 86_400, "2 years"],
])("%d seconds are %s", (seconds, expected) => {
  expect(formatAge(seconds)).toBe(expected);
});

test("a time keeps all its nanoseconds, in the local zone", () => {
  const text = formatNanoseconds(1_700_000_000_000_000_001n);
  expect(text).toMatch(/\.000000001(Z|[+-]\d\d:\d\d)$/);
  expect(Date.parse(text)).toBe(1_700_000_000_000);
});

test("ports in a row are one range; one that is published under another number stands alone", () => {
  const port = (PrivatePort: number, more: object = {}): { PrivatePort: number; Type: string } => ({ PrivatePort, Type: "tcp", ...more });
  const open = (number: number, ip = "0.0.0.0"): ReturnType<typeof port> => port(number, { PublicPort: number, IP: ip });
  expect(formatPorts([])).toBe("");
  expect(formatPorts([port(80), port(81), port(83)])).toBe("80-81/tcp, 83/tcp");
  expect(formatPorts([open(81), open(80), open(80, "::"), port(53, { Type: "udp" })])).toBe(
    "53/udp, 0.0.0.0:80-81->80-81/tcp, [::]:80->80/tcp",
  );
  expect(formatPorts([port(80, { PublicPort: 8080, IP: "127.0.0.1" }), port(443)])).toBe("443/tcp, 127.0.0.1:8080->80/tcp");
});
