import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";

import { type Engine, makeRoutes } from "./routes.ts";
import { makeRouter, parseTarget } from "./router.ts";

// Making the table calls nothing of the engine.
const routes = makeRoutes({} as Engine);
const router = makeRouter(routes);

const find = (method: string, url: string): string | undefined => {
  const found = router.find(method, parseTarget(url).path);
  return found === undefined ? undefined : `${found.route.operation} ${found.name}`.trim();
};

test("every operation of the API description has a row with its method", () => {
  // The shape is Swagger's.
  const description = parse(readFileSync("conformance/engine-api-1.50.yaml", "utf8")) as {
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  let seen = 0;
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, { operationId }] of Object.entries(methods)) {
      seen += 1;
      expect.soft(find(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, "x"))).toMatch(new RegExp(`^${operationId}( x)?$`));
    }
  }
  expect(seen).toBe(107);
});

test.each([
  ["GET", "/v1.41/images/host:5000/a/b/json", "ImageInspect host:5000/a/b"],
  ["GET", "/images/host:5000%2Fa%2Fb:1/json?x=/y/json", "ImageInspect host:5000/a/b:1"],
  ["GET", "/images/json", "ImageList"],
  ["GET", "/images/json/json", "ImageInspect json"],
  ["DELETE", "/images/a/b", "ImageDelete a/b"],
  ["GET", "/networks/", "NetworkList"],
  ["GET", "/networks/create", "NetworkInspect create"],
  ["POST", "/networks/create", "NetworkCreate"],
  ["GET", "/containers/a/attach/ws", "ContainerAttachWebsocket a"],
  ["OPTIONS", "/anything/at/all", "Options anything/at/all"],
  ["HEAD", "/v1.24/_ping", "SystemPingHead"],
])("%s %s is %s", (method, url, operation) => {
  expect(find(method, url)).toBe(operation);
});

test.each([
  ["GET", "/nosuch"],
  ["POST", "/_ping"],
  ["GET", "/v1.41"],
  ["HEAD", "/containers/json"],
  ["GET", "/containers/json/"],
  ["PATCH", "/containers/x"],
])("%s %s is nothing", (method, url) => {
  expect(find(method, url)).toBeUndefined();
});

test.each([
  ["//version", "/version"],
  ["/containers//json?a=b", "/containers/json?a=b"],
  ["/containers/../version", "/version"],
  ["/images/%2e%2e/%2e%2e/etc/json", "/etc/json"],
])("%s is redirected to %s", (url, location) => {
  expect(parseTarget(url).redirect).toBe(location);
});

test("a target is taken apart: version, decoded path, query", () => {
  expect(parseTarget("/v1.41/containers/a%20b/json?x=%2F")).toEqual({
    versionText: "1.41",
    path: "/containers/a b/json",
    query: "x=%2F",
    redirect: undefined,
  });
});

test.each(["/a%zz", "/a?b=%", "/a%ff"])("%s is refused", (url) => {
  expect(() => parseTarget(url)).toThrow(/invalid URL escape|not UTF-8/);
});
