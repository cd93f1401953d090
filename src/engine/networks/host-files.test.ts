import { describe, expect, test } from "vitest";

import { hostnameFile, hostsFile } from "./host-files.ts";

const STANDARD = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

describe("/etc/hosts", () => {
  test("ends with the container's own address and name", () => {
    expect(hostsFile({ hostname: "0a1b2c3d4e5f", endpoints: [{ ipv4Address: "172.17.0.2", ipv6Address: "" }] })).toBe(
      `${STANDARD}172.17.0.2\t0a1b2c3d4e5f\n`,
    );
  });

  test("names the host as host.docker.internal, unless the user said what that is", () => {
    const files = { hostname: "web", endpoints: [{ ipv4Address: "172.17.0.2", ipv6Address: "" }], gateway: "172.17.0.1" };
    expect(hostsFile(files)).toBe(`${STANDARD}172.17.0.1\thost.docker.internal\n172.17.0.2\tweb\n`);
    expect(hostsFile({ ...files, extraHosts: ["host.docker.internal:10.0.0.9"] })).toBe(
      `${STANDARD}10.0.0.9\thost.docker.internal\n172.17.0.2\tweb\n`,
    );
  });

  test("has extra hosts, IPv6 ones and host-gateway among them", () => {
    const extraHosts = ["db:10.1.2.3", "six:2001:db8::1", "bracket:[2001:db8::2]", "gate:host-gateway"];
    const text = hostsFile({ hostname: "web", gateway: "172.17.0.1", extraHosts });
    expect(text.slice(STANDARD.length).split("\n").slice(0, 4)).toEqual([
      "10.1.2.3\tdb",
      "2001:db8::1\tsix",
      "2001:db8::2\tbracket",
      "172.17.0.1\tgate",
    ]);
  });

  test("writes the full name before the bare one", () => {
    expect(hostsFile({ hostname: "web", domainname: "example.org", endpoints: [{ ipv4Address: "10.0.0.2", ipv6Address: "" }] })).toContain(
      "10.0.0.2\tweb.example.org web\n",
    );
    expect(hostsFile({ hostname: "web.example.org", endpoints: [{ ipv4Address: "10.0.0.2", ipv6Address: "" }] })).toContain(
      "10.0.0.2\tweb.example.org web\n",
    );
  });

  test("is the host's own with the extra hosts on the host's network", () => {
    expect(hostsFile({ hostname: "x", hostFile: "127.0.0.1 localhost\n", extraHosts: ["a:1.2.3.4"] })).toBe(
      "127.0.0.1 localhost\n1.2.3.4\ta\n",
    );
  });

  test("refuses what is no address", () => {
    expect(() => hostsFile({ hostname: "x", extraHosts: ["db"] })).toThrow('bad format for add-host: "db"');
    expect(() => hostsFile({ hostname: "x", extraHosts: ["db:nowhere"] })).toThrow('invalid IP address in add-host: "nowhere"');
    expect(() => hostsFile({ hostname: "x", extraHosts: ["db:host-gateway"] })).toThrow("unable to derive the IP value for host-gateway");
  });
});

test("/etc/hostname is the name on a line", () => {
  expect(hostnameFile("web")).toBe("web\n");
});
