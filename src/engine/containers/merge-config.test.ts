import { expect, test } from "vitest";

import { containerConfig, type ContainerConfig } from "../../api/container-config.ts";
import type { ContainerDefaults } from "../images/image-config.ts";
import { commandOf, mergeConfig } from "./merge-config.ts";

const merge = (asked: Record<string, unknown>, image: ContainerDefaults | undefined): ContainerConfig =>
  mergeConfig(containerConfig.decode(asked, ""), image);

const command = (asked: Record<string, unknown>, image: ContainerDefaults): string[] => {
  const { path, args } = commandOf(merge(asked, image));
  return [path, ...args];
};

test("entrypoint and command", () => {
  const image = { Entrypoint: ["/entry", "-x"], Cmd: ["serve"] };
  expect(command({}, image)).toEqual(["/entry", "-x", "serve"]);
  expect(command({ Cmd: ["other"] }, image)).toEqual(["/entry", "-x", "other"]);
  expect(command({ Entrypoint: ["/mine"] }, image)).toEqual(["/mine"]);
  expect(command({ Entrypoint: ["/mine"], Cmd: ["a"] }, image)).toEqual(["/mine", "a"]);
  expect(command({ Entrypoint: "/mine", Cmd: "a" }, image)).toEqual(["/mine", "a"]);
  // `--entrypoint ""` takes the image's away.
  expect(command({ Entrypoint: [""], Cmd: ["sh"] }, image)).toEqual(["sh"]);
  expect(command({ Entrypoint: [] }, image)).toEqual(["serve"]);
  expect(() => command({ Entrypoint: [""] }, image)).toThrow("no command specified");
  expect(() => command({}, {})).toThrow("no command specified");
});

test("the request's values win, the image's fill the rest", () => {
  const image: ContainerDefaults = {
    User: "www",
    Env: ["PATH=/bin", "A=image"],
    ExposedPorts: { "80/tcp": {} },
    Volumes: { "/data": {} },
    WorkingDir: "/srv",
    Labels: { a: "image", b: "image" },
    StopSignal: "SIGQUIT",
  };
  const asked = { Env: ["A=mine", "B"], ExposedPorts: { "90/udp": {} }, Labels: { a: "mine" }, Volumes: { "/mine": {} } };
  const merged = merge(asked, image);
  expect(merged.Env).toEqual(["A=mine", "B", "PATH=/bin"]);
  expect([...(merged.ExposedPorts?.keys() ?? [])]).toEqual(["90/udp", "80/tcp"]);
  expect([...(merged.Volumes?.keys() ?? [])]).toEqual(["/mine", "/data"]);
  expect(Object.fromEntries(merged.Labels)).toEqual({ a: "mine", b: "image" });
  expect([merged.User, merged.WorkingDir, merged.StopSignal]).toEqual(["www", "/srv", "SIGQUIT"]);
  expect(merge({ User: "0", WorkingDir: "/x", StopSignal: "9" }, image)).toMatchObject({ User: "0", WorkingDir: "/x", StopSignal: "9" });
});

test("a health check is merged member by member", () => {
  const image = { Healthcheck: { Test: ["CMD", "true"], Interval: 5_000_000_000, Retries: 3 } };
  expect(merge({ Healthcheck: { Retries: 7 } }, image).Healthcheck).toMatchObject({
    Test: ["CMD", "true"],
    Interval: 5_000_000_000,
    Retries: 7,
  });
  expect(merge({ Healthcheck: { Test: ["NONE"] } }, {}).Healthcheck?.Test).toEqual(["NONE"]);
});

test("what neither says stays absent; names like those of JavaScript's own are names", () => {
  const merged = merge({}, undefined);
  expect([merged.Env, merged.Volumes, merged.ExposedPorts, merged.Cmd]).toEqual([undefined, undefined, undefined, undefined]);
  const hostile: ContainerDefaults = { Labels: JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string> };
  expect([...merge({}, hostile).Labels]).toEqual([
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
});
