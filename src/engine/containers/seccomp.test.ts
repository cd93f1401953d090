import { expect, test } from "vitest";

import { DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { chooseSeccomp, compileSeccomp, type OciSeccomp, type SeccompProfile } from "./seccomp.ts";
import { sampleHost } from "./test-samples.ts";

const BUILTIN = { kind: "builtin" } as const;

function compiled(capabilities: readonly string[], host = sampleHost()): OciSeccomp {
  const seccomp = chooseSeccomp({ option: "", privileged: false, capabilities }, host, BUILTIN);
  if (seccomp === undefined) throw new Error("no filter");
  return seccomp;
}

function allowed({ syscalls }: OciSeccomp): Set<string> {
  return new Set(syscalls.filter(({ action }) => action === "SCMP_ACT_ALLOW").flatMap(({ names }) => names));
}

test("the default profile with the default capabilities on amd64", () => {
  const seccomp = compiled(DEFAULT_CAPABILITIES);
  expect(seccomp).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
  expect(seccomp.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
  expect(seccomp.syscalls).toHaveLength(15);
  expect(allowed(seccomp).size).toBe(370);
  for (const name of ["mount", "unshare", "setns", "bpf", "keyctl", "io_uring_setup", "userfaultfd", "kexec_load", "reboot"]) {
    expect([name, allowed(seccomp).has(name)]).toEqual([name, false]);
  }
});

test("clone3 says it does not exist, so that libc falls back to the clone that can be filtered", () => {
  const { syscalls } = compiled(DEFAULT_CAPABILITIES);
  expect(syscalls.find(({ names }) => names.includes("clone3"))).toEqual({ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 });
  const clone = syscalls.find(({ names }) => names.includes("clone"));
  expect(clone?.args).toEqual([{ index: 0, value: 0x7e020000, op: "SCMP_CMP_MASKED_EQ" }]);
});

test("rules follow the capabilities that are really held", () => {
  const admin = compiled([...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"]);
  for (const name of ["mount", "unshare", "setns", "clone3"]) expect([name, allowed(admin).has(name)]).toEqual([name, true]);
  const none = compiled([]);
  expect(allowed(none).has("chroot")).toBe(false);
  expect(allowed(compiled(["CAP_SYS_CHROOT"])).has("chroot")).toBe(true);
});

test("rules follow architecture and kernel", () => {
  const arm = compiled(DEFAULT_CAPABILITIES, sampleHost({ architecture: "arm64" }));
  expect(arm.architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
  expect(allowed(arm).has("arch_prctl")).toBe(false);
  expect(allowed(arm).has("arm_fadvise64_64")).toBe(true);
  const old = compiled(DEFAULT_CAPABILITIES, sampleHost({ kernel: { major: 4, minor: 7 } }));
  expect(allowed(old).has("ptrace")).toBe(false);
  expect(allowed(compiled(DEFAULT_CAPABILITIES, sampleHost({ kernel: { major: 4, minor: 8 } }))).has("ptrace")).toBe(true);
});

test("who has which profile", () => {
  const choose = (
    option: string,
    privileged = false,
    host = sampleHost(),
    daemon: Parameters<typeof chooseSeccomp>[2] = BUILTIN,
  ): unknown => chooseSeccomp({ option, privileged, capabilities: DEFAULT_CAPABILITIES }, host, daemon);
  const json = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO"}]}';
  const custom = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }] };
  expect(choose("unconfined")).toBeUndefined();
  expect(choose("", true)).toBeUndefined();
  expect(choose("builtin", true)).toBeDefined();
  expect(choose(json)).toEqual(custom);
  expect(choose(json, true)).toEqual(custom);
  expect(choose("", false, sampleHost(), { kind: "custom", json })).toEqual(custom);
  expect(choose("", false, sampleHost(), { kind: "unconfined" })).toBeUndefined();
  expect(choose("builtin", false, sampleHost(), { kind: "unconfined" })).toBeDefined();
  expect(choose("", false, sampleHost({ seccomp: false }))).toBeUndefined();
  expect(() => choose(json, false, sampleHost({ seccomp: false }))).toThrow("cannot run a custom seccomp profile");
});

test("a profile that is none is refused", () => {
  const choose = (option: string): unknown => chooseSeccomp({ option, privileged: false, capabilities: [] }, sampleHost(), BUILTIN);
  for (const text of ["{", "[]", "17", '{"syscalls":7}', '{"syscalls":[{"action":"SCMP_ACT_ALLOW"}]}']) {
    expect(() => choose(text)).toThrow(/^Decoding seccomp profile failed: /);
  }
  const both = { name: "a", names: ["b"], action: "SCMP_ACT_ALLOW" };
  expect(() => choose(JSON.stringify({ defaultAction: "SCMP_ACT_ERRNO", syscalls: [both] }))).toThrow("both 'name' and 'names'");
  const architectures: SeccompProfile = {
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: ["SCMP_ARCH_X86"],
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: null }],
  };
  expect(() => compileSeccomp(architectures, [], sampleHost())).toThrow("both 'architectures' and 'archMap'");
});

test("an empty profile is no filter; numbers keep all their digits", () => {
  expect(compileSeccomp({}, [], sampleHost())).toBeUndefined();
  const rule = '{"names":["personality"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}';
  const option = `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[${rule}]}`;
  const seccomp = chooseSeccomp({ option, privileged: false, capabilities: [] }, sampleHost(), BUILTIN);
  expect(seccomp?.syscalls[0]?.args?.[0]?.value).toBe(2n ** 64n - 1n);
});
