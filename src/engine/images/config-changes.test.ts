import { expect, test } from "vitest";

import { applyChanges } from "./config-changes.ts";

test.each<[string, Record<string, unknown>]>([
  ['CMD ["a","b c"]', { Cmd: ["a", "b c"] }],
  ["cmd a 'b c'", { Cmd: ["/bin/sh", "-c", "a 'b c'"] }],
  ["CMD", { Cmd: ["/bin/sh", "-c"] }],
  ["ENTRYPOINT [not json", { Entrypoint: ["/bin/sh", "-c", "[not json"], Cmd: null }],
  ['CMD a\nENTRYPOINT ["b"]', { Cmd: ["/bin/sh", "-c", "a"], Entrypoint: ["b"] }],
  ["ENV A=1 B=\"x y\" C='$A'", { Env: ["A=1", "B=x y", "C=$A"] }],
  ["ENV A 1  2 3", { Env: ["A=1  2 3"] }],
  ["ENV A=1\nENV A=2 B=${A}-${C:-none}-${A:+set}\\$A", { Env: ["A=2", "B=1-none-set$A"] }],
  [
    "LABEL a.b=c __proto__=d",
    {
      Labels: Object.fromEntries([
        ["a.b", "c"],
        ["__proto__", "d"],
      ]),
    },
  ],
  [
    "EXPOSE 80 443/TCP 7000-7001/udp 1.2.3.4::9",
    { ExposedPorts: { "80/tcp": {}, "443/tcp": {}, "7000/udp": {}, "7001/udp": {}, "9/tcp": {} } },
  ],
  ["VOLUME /a /b", { Volumes: { "/a": {}, "/b": {} } }],
  ['VOLUME ["/a b"]', { Volumes: { "/a b": {} } }],
  ["WORKDIR /a\nWORKDIR b/../c", { WorkingDir: "/a/c" }],
  ["USER 1:2\nSTOPSIGNAL SIGINT", { User: "1:2", StopSignal: "SIGINT" }],
  ["USER a b", { User: "a b" }],
  ["ONBUILD RUN x", { OnBuild: ["RUN x"] }],
  ["HEALTHCHECK NONE", { Healthcheck: { Test: ["NONE"] } }],
  ["HEALTHCHECK --interval=1m30s --retries=3 CMD curl x", { Healthcheck: { Test: ["CMD-SHELL", "curl x"], Interval: 90e9, Retries: 3 } }],
  ["# a comment\n\n", {}],
])("%s", (change, config) => {
  expect(applyChanges({}, [change])).toEqual(config);
});

test("what was there stays, and is what variables mean", () => {
  const start = { Env: ["PATH=/bin"], Shell: ["/bin/bash", "-c"] };
  expect(applyChanges(start, ["ENV PATH=$PATH:/opt", "CMD x"])).toEqual({
    ...start,
    Env: ["PATH=/bin:/opt"],
    Cmd: ["/bin/bash", "-c", "x"],
  });
  expect(start.Env).toEqual(["PATH=/bin"]);
});

test.each([
  ["RUN rm -rf /", "RUN is not a valid change command"],
  ["ENV", "ENV requires at least one argument"],
  ["ENV A", "ENV must have two arguments"],
  ["ENV =1", "ENV names can not be blank"],
  ["ENV A=1 B", `Syntax error - can't find = in "B". Must be of the form: name=value`],
  ["ENV A='x", "unexpected end of statement while looking for matching single-quote"],
  ["LABEL ${", "LABEL must have two arguments"],
  ["EXPOSE 80/icmp", "invalid proto: icmp"],
  ["EXPOSE 65536", "invalid containerPort: 65536"],
  ['VOLUME /a "/b c"', 'failed to process "\\"/b": unexpected end of statement while looking for matching double-quote'],
  ["ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"],
  ["HEALTHCHECK --interval=1 CMD x", 'time: missing unit in duration "1"'],
  ["HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"],
])("%s is refused: %s", (change, message) => {
  expect(() => applyChanges({}, [change])).toThrow(message);
});
