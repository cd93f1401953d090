import { expect, test } from "vitest";

import type { RegistryAuth } from "../images.ts";
import { openAuthorizer, type AuthorizerOptions } from "./authorizer.ts";
import type { ExchangeResponse } from "./exchange.ts";

type Asked = Parameters<AuthorizerOptions["exchange"]>[0];

/** An authorizer whose token server gives these answers, one after another; and what that was asked. */
function open(
  credentials: RegistryAuth | undefined,
  ...answers: [status: number, body: unknown][]
): ReturnType<typeof openAuthorizer> & { asked: Asked[] } {
  const asked: Asked[] = [];
  const authorizer = openAuthorizer({
    registry: new URL("https://r.example"),
    scopes: ["repository:a:pull"],
    credentials,
    exchange: async (request) => {
      asked.push(request);
      const [status, body] = answers.shift() ?? [500, ""];
      return { url: request.url, status, headers: {}, body: Buffer.from(JSON.stringify(body)) };
    },
  });
  return { ...authorizer, asked };
}

const challenged = (challenge: string): ExchangeResponse => ({
  url: "https://r.example/v2/",
  status: 401,
  headers: { "www-authenticate": challenge },
  body: Buffer.alloc(0),
});
const BEARER = challenged('Bearer realm="https://auth.r.example/token",service="s"');
const USER = { username: "u", password: "p" };
const BASIC = `Basic ${btoa("u:p")}`;

test("a token is asked for with the password and shown until most of its life is over", async () => {
  const authorizer = open(USER, [200, { access_token: "t", expires_in: 300 }]);
  expect(authorizer.headers()).toEqual({});
  expect(await authorizer.answer(BEARER, {})).toBe(true);
  expect(authorizer.headers()).toEqual({ authorization: "Bearer t" });
  expect(authorizer.asked).toMatchObject([
    {
      method: "GET",
      url: "https://auth.r.example/token?service=s&scope=repository%3Aa%3Apull&account=u",
      headers: { authorization: BASIC },
    },
  ]);
  expect(await authorizer.answer(BEARER, authorizer.headers())).toBe(false);
});

test("nobody asks without a password, somebody with an identity token by it", async () => {
  const nobody = open(undefined, [200, { token: "t" }]);
  await nobody.answer(BEARER, {});
  expect(nobody.asked).toMatchObject([{ method: "GET", headers: {} }]);
  const known = open({ identityToken: "refresh" }, [200, { access_token: "t" }]);
  await known.answer(BEARER, {});
  expect(known.asked).toMatchObject([{ method: "POST", url: "https://auth.r.example/token" }]);
  expect(Object.fromEntries(new URLSearchParams(known.asked[0]?.body))).toMatchObject({
    grant_type: "refresh_token",
    refresh_token: "refresh",
    scope: "repository:a:pull",
  });
});

test("a token that the client brought is shown at once", () => {
  expect(open({ registryToken: "mine" }).headers()).toEqual({ authorization: "Bearer mine" });
});

test("bearer goes before basic, and a challenge of neither cannot be answered", async () => {
  const authorizer = open(USER, [200, { token: "t" }]);
  await authorizer.answer(challenged(`Basic realm="x", ${BEARER.headers["www-authenticate"]}`), {});
  expect(authorizer.headers()).toEqual({ authorization: "Bearer t" });
  const basic = open(USER);
  expect(await basic.answer(challenged('Basic realm="x"'), {})).toBe(true);
  expect(basic.headers()).toEqual({ authorization: BASIC });
  expect(await open(USER).answer(challenged("Negotiate"), {})).toBe(false);
});

test.each<[string, RegistryAuth | undefined, string, [number, unknown][], string]>([
  ["no password for basic", undefined, 'Basic realm="x"', [], "no basic auth credentials"],
  ["a password that the token server refuses", USER, "", [[401, {}]], "unauthorized: incorrect username or password"],
  ["the token server's own words", USER, "", [[401, { errors: [{ code: "DENIED", message: "go away" }] }]], "denied: go away"],
  ["a token server in trouble", USER, "", [[503, {}]], "the token server auth.r.example answered 503"],
  ["no token in the answer", USER, "", [[200, { token: "" }]], "the token server auth.r.example gave no token"],
  ["a token that would break a header", USER, "", [[200, { token: "a\r\nb" }]], "the token server auth.r.example gave no token"],
  ["a realm that is no URL", USER, 'Bearer realm="x"', [], "names an invalid token server"],
  ["a realm without TLS", USER, 'Bearer realm="http://r.example/t"', [], "names a token server without TLS (http://r.example): refused"],
  [
    "a stranger as realm",
    USER,
    'Bearer realm="https://evil.test/t"',
    [[401, {}]],
    "evil.test does not belong to the registry, so it got no credentials",
  ],
])("%s is told", async (_what, credentials, challenge, answers, message) => {
  const authorizer = open(credentials, ...answers);
  await expect(authorizer.answer(challenge === "" ? BEARER : challenged(challenge), {})).rejects.toThrow(message);
  expect(authorizer.asked.every(({ url, headers }) => !url.includes("evil") || !("authorization" in headers))).toBe(true);
});
