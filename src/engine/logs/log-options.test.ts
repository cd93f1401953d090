import { expect, test } from "vitest";

import { type LogConfig, logDestination, mergeLogConfig } from "./log-options.ts";

function config(type: string, options: Record<string, string> = {}): LogConfig {
  return { type, options: new Map(Object.entries(options)) };
}
const facts = {
  id: "0123456789abcdef",
  name: "web",
  imageId: "sha256:fedcba9876543210",
  imageName: "app:1",
  labels: new Map([
    ["tier", "front"],
    ["team.name", "a"],
  ]),
  env: ["MODE=test", "PATH=/bin", "EMPTY"],
};

test("a container takes the daemon's driver and, below its own, the daemon's options", () => {
  const daemon = config("json-file", { "max-size": "1m", "max-file": "2" });
  expect(mergeLogConfig(config(""), daemon)).toEqual(daemon);
  expect(mergeLogConfig(config("json-file", { "max-file": "5" }), daemon).options).toEqual(
    new Map(Object.entries({ "max-size": "1m", "max-file": "5" })),
  );
  expect(mergeLogConfig(config("none"), daemon)).toEqual(config("none"));
});

test("logs rotate unless told otherwise, by Docker's rules where its options are used, with decimal sizes as Docker's", () => {
  expect(logDestination(config("json-file"), "/l", facts)).toEqual({
    driver: "json-file",
    path: "/l",
    maxSizeBytes: 10_000_000,
    maxFiles: 100,
    compress: true,
    maxTotalBytes: 30_000_000,
  });
  expect(logDestination(config("json-file", { "max-size": "1.5k" }), "/l", facts)).toEqual({
    driver: "json-file",
    path: "/l",
    maxSizeBytes: 1500,
    maxFiles: 1,
    compress: false,
  });
  expect(logDestination(config("json-file", { compress: "false" }), "/l", facts)).toMatchObject({ maxSizeBytes: 10_000_000, maxFiles: 3 });
  expect(logDestination(config("json-file", { "max-file": "4", compress: "true" }), "/l", facts)).toMatchObject({
    maxSizeBytes: 10_000_000,
    maxFiles: 4,
    compress: true,
  });
  expect(logDestination(config("none"), "/l", facts)).toEqual({ driver: "none" });
});

test("labels, variables and the tag that were asked for go along with every line", () => {
  const options = { labels: "tier,other", "labels-regex": "^team", env: "MODE", tag: "{{.Name}}/{{.ID}}/{{ .ImageID }}/{{.Odd}}" };
  expect(logDestination(config("json-file", options), "/l", facts)).toMatchObject({
    attrs: { MODE: "test", tag: "web/0123456789ab/fedcba987654/{{.Odd}}", "team.name": "a", tier: "front" },
  });
});

test.each([
  [{ "max-size": "0" }, "max-size must be a positive number"],
  [{ "max-size": "10q" }, "invalid size: '10q'"],
  [{ "max-file": "0" }, "max-file cannot be less than 1"],
  [{ "max-file": "two" }, 'strconv.Atoi: parsing "two": invalid syntax'],
  [{ "max-size": "1m", compress: "true" }, "compress cannot be true when max-file is less than 2"],
  [{ compress: "perhaps" }, "strconv.ParseBool"],
  [{ mode: "lazy" }, "logger: logging mode not supported: lazy"],
  [{ "max-buffer-size": "1m" }, "only supported with 'mode=non-blocking'"],
  [{ colour: "red" }, "unknown log opt 'colour' for json-file log driver"],
])("%j is refused", (options, message) => {
  expect(() => mergeLogConfig(config("json-file", options), config("json-file"))).toThrow(message);
});

test("a driver that is not there is refused by name", () => {
  expect(() => mergeLogConfig(config("splunk"), config("json-file"))).toThrow("logger: no log driver named 'splunk' is registered");
});
