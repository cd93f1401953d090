import { expect, test } from "vitest";

import { proxyFor, proxyHeaders } from "./proxy.ts";

const asked = (url: string, environment: Record<string, string>): string | undefined => proxyFor(new URL(url), environment)?.href;
const BOTH = { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "secure:2" };

test("each scheme has its own, in capitals first, perhaps without a scheme of its own", () => {
  expect(asked("http://r.example/", BOTH)).toBe("http://plain:1/");
  expect(asked("https://r.example/", BOTH)).toBe("http://secure:2/");
  expect(asked("https://r.example/", { HTTP_PROXY: "http://plain:1" })).toBeUndefined();
  expect(asked("https://r.example/", { https_proxy: "https://small:3" })).toBe("https://small:3/");
  expect(() => asked("https://r.example/", { HTTPS_PROXY: "socks5://x" })).toThrow("no http or https address");
  expect(proxyHeaders(new URL("http://u%40x:p@h"))).toEqual({ "proxy-authorization": `Basic ${btoa("u@x:p")}` });
});

test.each([
  ["https://r.example", "r.example", true],
  ["https://sub.r.example", "r.example", true],
  ["https://other.example", "r.example", false],
  ["https://notr.example", "r.example", false],
  ["https://r.example", ".r.example", false],
  ["https://sub.r.example", ".r.example, x", true],
  ["https://sub.r.example", "*.r.example", true],
  ["https://r.example:5000", "R.example:5000", true],
  ["https://r.example", "r.example:5000", false],
  ["https://r.example", "r.example:443", true],
  ["http://10.1.2.3:5000", "10.0.0.0/8", true],
  ["http://11.1.2.3", "10.0.0.0/8", false],
  ["http://10.1.2.3", "10.1.2.3", true],
  ["http://[fd00::1]:5000", "fd00::/8", true],
  ["http://[fd00::1]:5000", "[fd00::1]:5000", true],
  ["http://[fd00::1]", "fd00::1", true],
  ["https://anything", "*", true],
  ["http://127.0.0.1:5000", "", true],
  ["http://localhost:5000", "", true],
  ["http://[::1]:5000", "", true],
])("%s with NO_PROXY=%s: straight %s", (url, exceptions, isStraight) => {
  expect(asked(url, { ...BOTH, NO_PROXY: exceptions }) === undefined).toBe(isStraight);
});
