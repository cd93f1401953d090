import { expect, test } from "vitest";

import { familiarReference, fullReference, parseReference } from "./reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

test.each([
  ["busybox", "docker.io/library/busybox", "busybox"],
  ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"],
  ["docker.io/library/busybox:1", "docker.io/library/busybox:1", "busybox:1"],
  ["index.docker.io/a/b", "docker.io/a/b", "a/b"],
  ["library/busybox", "docker.io/library/busybox", "busybox"],
  ["docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"],
  ["a/b/c:t", "docker.io/a/b/c:t", "a/b/c:t"],
  ["localhost/a", "localhost/a", "localhost/a"],
  ["r.example:5000/a:T-1_x.y", "r.example:5000/a:T-1_x.y", "r.example:5000/a:T-1_x.y"],
  ["[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"],
  ["UPPER/a", "UPPER/a", "UPPER/a"],
  [`a@${DIGEST}`, `docker.io/library/a@${DIGEST}`, `a@${DIGEST}`],
  [`a:1@${DIGEST}`, `docker.io/library/a:1@${DIGEST}`, `a:1@${DIGEST}`],
])("%s is %s in full, %s to people", (text, full, familiar) => {
  expect([fullReference(parseReference(text)), familiarReference(parseReference(text))]).toEqual([full, familiar]);
});

test.each([
  ["", "invalid reference format"],
  ["a b", "invalid reference format"],
  ["a//b", "invalid reference format"],
  ["a:", "invalid reference format"],
  ["-a", "invalid reference format"],
  [":1", "invalid reference format"],
  ["../etc", "invalid reference format"],
  ["r.example/A", "invalid reference format: repository name (A) must be lowercase"],
  ["Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"],
  ["a".repeat(256), "invalid reference format: repository name must not be more than 255 characters"],
  ["a".repeat(64), `invalid repository name (${"a".repeat(64)}), cannot specify 64-byte hexadecimal strings`],
  [`a@sha256:${"a".repeat(63)}`, "invalid checksum digest length"],
  [`a@sha256:${"A".repeat(64)}`, "invalid checksum digest format"],
  [`a@md5:${"a".repeat(32)}`, "unsupported digest algorithm"],
])("%j is refused: %s", (text, message) => {
  expect(() => parseReference(text)).toThrow(expect.objectContaining({ kind: "invalid", message }));
});
