import { describe, expect, test } from "vitest";

import { isResolvedStub, makeResolvConf } from "./resolv-conf.ts";

describe("/etc/resolv.conf", () => {
  const lines = ({ content }: { content: string }): string[] => content.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const host = "# comment\nnameserver 127.0.0.53\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nsearch corp.example\noptions edns0\n";

  test("has the host's servers but those only the host reaches", () => {
    expect(lines(makeResolvConf({ hostContent: host, hostPath: "/etc/resolv.conf" }))).toEqual([
      "nameserver 10.0.0.53",
      "search corp.example",
      "options edns0",
    ]);
  });

  test("falls back to public servers when none is left, and says so", () => {
    const made = makeResolvConf({ hostContent: "nameserver 127.0.0.1\n", hostPath: "/etc/resolv.conf" });
    expect(lines(made)).toEqual(["nameserver 8.8.8.8", "nameserver 8.8.4.4"]);
    expect(made.content).toContain("# Used default nameservers.\n");
  });

  test("takes the user's servers, search domains and options instead, loopback too", () => {
    const made = makeResolvConf({
      hostContent: host,
      hostPath: "/etc/resolv.conf",
      servers: ["127.0.0.1", "9.9.9.9"],
      search: ["a.example", "b.example"],
      options: ["ndots:2"],
    });
    expect(lines(made)).toEqual(["nameserver 127.0.0.1", "nameserver 9.9.9.9", "search a.example b.example", "options ndots:2"]);
    expect(made.content).toContain("# Overrides: [nameservers search options]\n");
  });

  test("searches nothing when the user says so with a dot", () => {
    expect(lines(makeResolvConf({ hostContent: host, hostPath: "", search: ["."] }))).toEqual(["nameserver 10.0.0.53", "options edns0"]);
  });

  test("is as the host has it on the host's network", () => {
    expect(lines(makeResolvConf({ hostContent: host, hostPath: "", hostNetwork: true }))).toEqual([
      "nameserver 127.0.0.53",
      "nameserver 10.0.0.53",
      "nameserver fe80::1%eth0",
      "search corp.example",
      "options edns0",
    ]);
  });

  test("knows systemd-resolved's stub", () => {
    expect(isResolvedStub("nameserver 127.0.0.53\noptions edns0\n")).toBe(true);
    expect(isResolvedStub(host)).toBe(false);
  });
});
