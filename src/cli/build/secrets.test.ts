import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { MAX_SECRET_BYTES } from "../../api/build-request.ts";
import { encodeSecrets } from "./secrets.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-secrets-");
  writeFileSync(path.join(folder, "token"), "from a file");
  writeFileSync(path.join(folder, "big"), Buffer.alloc(MAX_SECRET_BYTES + 1));
  process.env["TSUBO_TEST_SECRET"] = "from a variable";
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  delete process.env["TSUBO_TEST_SECRET"];
});

function read(...given: string[]): unknown {
  const encoded = encodeSecrets(given.map((each) => each.replace("$DIR", folder))) ?? "";
  const decoded = JSON.parse(Buffer.from(encoded, "base64url").toString()) as Record<string, string>;
  return Object.fromEntries(Object.entries(decoded).map(([id, value]) => [id, Buffer.from(value, "base64").toString()]));
}

test.each([
  ["id=a,src=$DIR/token", { a: "from a file" }],
  ["id=a,source=$DIR/token,type=file", { a: "from a file" }],
  ["id=a,env=TSUBO_TEST_SECRET", { a: "from a variable" }],
  ["type=env,id=a,src=TSUBO_TEST_SECRET", { a: "from a variable" }],
  ["id=TSUBO_TEST_SECRET", { TSUBO_TEST_SECRET: "from a variable" }],
  ["id=a,env=TSUBO_TEST_NOT_SET", { a: "" }],
])("%s", (given, expected) => {
  expect(read(given)).toEqual(expected);
});

test.each([
  ["id=a,src=$DIR/nope", "failed to stat $DIR/nope: stat $DIR/nope: no such file or directory"],
  ["id=a,src=$DIR/big", "secret a too big. max size 500KB"],
  ["src=$DIR/token", "secret missing ID"],
  ["id=a,type=x", 'unsupported secret type "x"'],
  ["id=a,foo=b", "unexpected key 'foo' in 'foo=b'"],
  ["a", "invalid field 'a' must be a key=value pair"],
])("%s is refused", (given, message) => {
  expect(() => read(given)).toThrow(message.replaceAll("$DIR", folder));
});
