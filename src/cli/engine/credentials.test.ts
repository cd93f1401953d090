import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readConfigFile, type ConfigFile } from "./config-file.ts";
import { eraseLogin, HUB_SERVER, registryAuth, serverOf, storeLogin } from "./credentials.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync("/tmp/tsubo-login-");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const file = (): string => path.join(folder, "config.json");
const config = (): ConfigFile =>
  readConfigFile(folder, (problem) => {
    throw new Error(problem);
  });
const shown = (domain: string): unknown => JSON.parse(Buffer.from(registryAuth(config(), domain), "base64url").toString());

test("a login is stored as docker stores it, and shown to its registry alone", () => {
  writeFileSync(file(), '{"detachKeys":"ctrl-x","auths":{"z.example":{"auth":"eA=="}}}');
  expect(storeLogin(config(), { username: "me", password: "a:b", serveraddress: "r.example:5000" })).toBe(file());
  expect(readFileSync(file(), "utf8")).toBe(
    '{\n\t"detachKeys": "ctrl-x",\n\t"auths": {\n\t\t"r.example:5000": {\n\t\t\t"auth": "bWU6YTpi"\n\t\t},\n\t\t"z.example": {\n\t\t\t"auth": "eA=="\n\t\t}\n\t}\n}',
  );
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(shown("r.example:5000")).toEqual({ username: "me", password: "a:b", serveraddress: "r.example:5000" });
  expect(shown("r.example")).toEqual({});
  eraseLogin(config(), "r.example:5000");
  expect(Object.keys(config().auths)).toEqual(["z.example"]);
  expect(config().detachKeys).toBe("ctrl-x");
});

test("a token is stored instead of the password, and nothing is then said to stand in the clear", () => {
  expect(storeLogin(config(), { username: "me", identitytoken: "TOKEN", serveraddress: HUB_SERVER })).toBeUndefined();
  expect(shown("docker.io")).toMatchObject({ username: "me", password: "", identitytoken: "TOKEN", serveraddress: HUB_SERVER });
});

test.each([
  ["", HUB_SERVER],
  ["docker.io", HUB_SERVER],
  ["https://r.example:5000/v2/", "r.example:5000"],
  ["r.example", "r.example"],
])("the login of %j is stored under %s", (registry, server) => {
  expect(serverOf(registry)).toBe(server);
});

test("an old file's address with scheme and path still fits its host", () => {
  writeFileSync(file(), '{"auths":{"https://r.example/v1/":{"auth":"bWU6eA=="}}}');
  expect(shown("r.example")).toEqual({ username: "me", password: "x", serveraddress: "r.example" });
});

test("a link stays one, and a broken file is left as it is", () => {
  mkdirSync(path.join(folder, "elsewhere"));
  symlinkSync("elsewhere/real.json", file());
  writeFileSync(path.join(folder, "elsewhere/real.json"), "{}");
  storeLogin(config(), { username: "me", password: "x", serveraddress: "r.example" });
  expect(lstatSync(file()).isSymbolicLink()).toBe(true);
  expect(readFileSync(path.join(folder, "elsewhere/real.json"), "utf8")).toContain("r.example");
  const before = config();
  writeFileSync(file(), "{ broken");
  expect(() => storeLogin(before, { username: "you", password: "y", serveraddress: "r.example" })).toThrow(
    /cannot store the login: .*config\.json/,
  );
  expect(readFileSync(file(), "utf8")).toBe("{ broken");
});

test("a helper keeps the login: none of it is in the file", () => {
  const kept = path.join(folder, "kept");
  const helper = path.join(folder, "docker-credential-fake");
  writeFileSync(
    helper,
    `#!/bin/sh
case $1 in
store) cat > ${kept} ;;
get) grep -qs "\\"$(cat)\\"" ${kept} && cat ${kept} || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f ${kept} ;;
esac`,
  );
  chmodSync(helper, 0o755);
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
  writeFileSync(file(), '{"credHelpers":{"r.example":"fake"}}');
  expect(shown("r.example")).toEqual({});
  storeLogin(config(), { username: "me", password: "x", serveraddress: "r.example" });
  expect(shown("r.example")).toEqual({ username: "me", password: "x", serveraddress: "r.example" });
  expect(readFileSync(file(), "utf8")).toBe('{"credHelpers":{"r.example":"fake"}}');
  storeLogin(config(), { username: "me", identitytoken: "T", serveraddress: "r.example" });
  expect(shown("r.example")).toEqual({ identitytoken: "T", serveraddress: "r.example" });
  eraseLogin(config(), "r.example");
  expect(existsSync(kept)).toBe(false);
  vi.stubEnv("PATH", "/nowhere");
  expect(() => storeLogin(config(), { username: "me", password: "x", serveraddress: "r.example" })).toThrow(
    /store of a login with docker-credential-fake failed: .*ENOENT/,
  );
});
