import { expect, test } from "vitest";

import { hostConfig } from "../../api/container-config.ts";
import { splitDeviceNumber } from "./host-devices.ts";
import { checkName, randomName } from "./names.ts";
import { parseNumberList } from "./number-lists.ts";
import { parseDeviceRule } from "./oci-devices.ts";
import { mergeEnvironment } from "./oci-process.ts";
import { parsePort, portRequestsOf } from "./ports.ts";
import { parseSecurityOptions } from "./security-options.ts";
import { parseSignal, signalNumberOf } from "./signals.ts";
import { humanDuration } from "./status-text.ts";
import { mergeTmpfsOptions } from "./tmpfs-options.ts";

/** What people write in a word or two, and what it means. */

test("signals by name and number", () => {
  expect(["SIGTERM", "term", "Kill", "15", "RTMIN+3", "SIGRTMAX-1", "CLD"].map(parseSignal)).toEqual([15, 15, 9, 15, 37, 63, 17]);
  for (const wrong of ["BOGUS", "0", "", "SIG", "RTMIN+99"]) expect(() => parseSignal(wrong)).toThrow(`invalid signal: ${wrong}`);
  expect(() => parseSignal("99")).toThrow("the linux daemon does not support signal 99");
  expect(signalNumberOf("SIGKILL")).toBe(9);
});

test("names of containers", () => {
  for (const good of ["ab", "/ab", "a.b-c_d", "0a"]) expect(() => checkName(good)).not.toThrow();
  for (const bad of ["a", "/", "", "../x", "a/b", "-ab", "a b", "ä1"]) {
    expect(() => checkName(bad)).toThrow(`Invalid container name (${bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  const names = new Set(Array.from({ length: 200 }, randomName));
  for (const name of names) expect(name).toMatch(/^[a-z]+_[a-z]+$/);
  expect(names.size).toBeGreaterThan(150);
});

test("lists of CPUs", () => {
  expect(parseNumberList("0-2,5")).toEqual(new Set([0, 1, 2, 5]));
  expect(parseNumberList("")).toEqual(new Set());
  for (const wrong of ["x", "1-", "2-1", "0-999999999", ",", "-1"]) expect(parseNumberList(wrong)).toBeUndefined();
});

test("ports and what to publish", () => {
  expect(parsePort("80")).toEqual({ port: 80, protocol: "tcp" });
  expect(parsePort("53/UDP")).toEqual({ port: 53, protocol: "udp" });
  for (const wrong of ["x/tcp", "70000", "80-90/tcp", "", "1.5"]) expect(() => parsePort(wrong)).toThrow("invalid port specification");
  expect(() => parsePort("80/foo")).toThrow('invalid port specification: "80/foo"');

  const exposed = new Map([
    ["80/tcp", {}],
    ["99/udp", {}],
  ]);
  const settings = hostConfig.decode(
    {
      PublishAllPorts: true,
      PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }, { HostPort: "9000-9005" }], "53/udp": [{}], "7/tcp": null },
    },
    "",
  );
  expect(portRequestsOf({ ExposedPorts: exposed }, settings)).toEqual([
    { containerPort: 53, protocol: "udp", hostAddress: "", hostPort: 0, hostPortEnd: 0 },
    { containerPort: 80, protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 8080, hostPortEnd: 8080 },
    { containerPort: 80, protocol: "tcp", hostAddress: "", hostPort: 9000, hostPortEnd: 9005 },
    { containerPort: 99, protocol: "udp", hostAddress: "", hostPort: 0, hostPortEnd: 0 },
  ]);
});

test("security options, new and old way of writing", () => {
  const json = '{"defaultAction":"SCMP_ACT_ALLOW","note":"a=b"}';
  expect(parseSecurityOptions([`seccomp=${json}`, "label:disable", "apparmor=x", "no-new-privileges", "writable-cgroups=false"])).toEqual({
    noNewPrivileges: true,
    writableCgroups: false,
    seccomp: json,
    appArmor: "x",
    labels: ["disable"],
  });
  expect(parseSecurityOptions(["no-new-privileges:false"]).noNewPrivileges).toBe(false);
  expect(parseSecurityOptions([]).noNewPrivileges).toBeUndefined();
});

test("device rules", () => {
  expect(parseDeviceRule("c 42:* rmw")).toEqual({ allow: true, type: "c", major: 42, minor: -1, access: "rmw" });
  for (const wrong of ["c 42 rwm", "x 1:1 r", "c 1:1 rx", "c 1:1", ""]) {
    expect(() => parseDeviceRule(wrong)).toThrow(`invalid device cgroup rule format: '${wrong}'`);
  }
});

test("device numbers beyond eight bits", () => {
  expect(splitDeviceNumber(0x103n)).toEqual({ major: 1, minor: 3 });
  expect(splitDeviceNumber(0x1234_5009_abc7_8901n)).toEqual({ major: 0x12345000 | 0x789, minor: 0x9abc01 & 0xffffff });
});

test("variables of the same name: the last one, in the first one's place", () => {
  expect(mergeEnvironment(["PATH=/bin", "HOSTNAME=h"], ["A=1", "PATH=/x=y", "HOSTNAME", "A=2"])).toEqual(["PATH=/x=y", "A=2"]);
});

test("options of a tmpfs: the later one of a kind counts", () => {
  expect(mergeTmpfsOptions(["noexec", "nosuid", "nodev", "rprivate", "exec", "size=1m", "size=2m", "ro"])).toEqual([
    "nosuid",
    "nodev",
    "rprivate",
    "exec",
    "size=2m",
    "ro",
  ]);
  expect(() => mergeTmpfsOptions(["bogus"])).toThrow('invalid tmpfs option ["bogus"]');
  expect(() => mergeTmpfsOptions(["a=b"])).toThrow('invalid tmpfs option ["a" "b"]');
});

test("durations as people say them", () => {
  const say = (seconds: number): string => humanDuration(BigInt(Math.round(seconds * 1e9)));
  const expected: [number, string][] = [
    [0.4, "Less than a second"],
    [-5, "Less than a second"],
    [1.9, "1 second"],
    [47, "47 seconds"],
    [60, "About a minute"],
    [180, "3 minutes"],
    [3599, "59 minutes"],
    [3600, "About an hour"],
    [3600 * 1.5, "2 hours"],
    [3600 * 47, "47 hours"],
    [86_400 * 3, "3 days"],
    [86_400 * 20, "2 weeks"],
    [86_400 * 100, "3 months"],
    [86_400 * 365 * 3, "3 years"],
  ];
  expect(expected.map(([seconds]) => say(seconds))).toEqual(expected.map(([, text]) => text));
});
