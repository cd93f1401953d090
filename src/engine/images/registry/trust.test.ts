import { expect, test } from "vitest";

import { parseChallenges } from "./challenge.ts";
import { credentialsFor, isPrivateAddress, realmMayBeAsked, realmMayGetCredentials } from "./trust.ts";

test.each([
  ["https://r.example", "https://r.example/token", true, true],
  ["https://r.example", "https://auth.r.example/token", true, true],
  ["https://registry-1.docker.io", "https://auth.docker.io/token", true, true],
  ["https://registry.redhat.io", "https://sso.redhat.com/auth", true, true],
  ["http://r.example", "http://r.example:5001/token", true, true],
  ["https://r.example", "http://r.example/token", false, false],
  ["https://r.example", "https://evil.test/token", true, false],
  ["https://a.co.uk", "https://b.co.uk/token", true, false],
  ["https://10.0.0.1", "https://10.0.0.2/token", true, false],
  ["http://r.example", "http://auth.r.example/token", true, false],
  ["https://r.example", "https://u:p@r.example/token", true, false],
  ["https://r.example", "file:///etc/passwd", false, false],
])("of the registry %s, the token server %s: asked %s, given credentials %s", (registry, realm, asked, trusted) => {
  const [from, to] = [new URL(registry), new URL(realm)];
  expect([realmMayBeAsked(from, to), realmMayGetCredentials(from, to)]).toEqual([asked, trusted]);
});

test("a client that says whom its credentials are for is taken at its word", () => {
  const auth = { username: "u", password: "p" };
  expect(credentialsFor("r.example", auth)).toBe(auth);
  expect(credentialsFor("docker.io", { ...auth, serverAddress: "https://index.docker.io/v1/" })).toMatchObject(auth);
  expect(credentialsFor("r.example", { ...auth, serverAddress: "other.example" })).toBeUndefined();
});

test.each(["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "172.31.0.1", "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1"])(
  "%s is a private address",
  (address) => expect(isPrivateAddress(address)).toBe(true),
);

test.each(["1.1.1.1", "172.32.0.1", "2606:4700::1111"])("%s is a public address", (address) =>
  expect(isPrivateAddress(address)).toBe(false),
);

test.each<[string, [string, Record<string, string>][]]>([
  ["", []],
  ['Basic realm="a registry"', [["basic", { realm: "a registry" }]]],
  [
    'Bearer realm="https://a/token",service="s",scope="repository:x:pull,push"',
    [["bearer", { realm: "https://a/token", service: "s", scope: "repository:x:pull,push" }]],
  ],
  [
    'Negotiate, Bearer Realm = "a\\"b", realm="second" , Basic realm=plain',
    [
      ["negotiate", {}],
      ["bearer", { realm: 'a"b' }],
      ["basic", { realm: "plain" }],
    ],
  ],
  ['Bearer realm="never closed', [["bearer", {}]]],
])("the challenge %s", (header, expected) => {
  expect(parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])).toEqual(expected);
});
