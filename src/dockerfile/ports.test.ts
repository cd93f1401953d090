import { expect, test } from "vitest";

import { exposedPorts, MAX_EXPOSED_PORTS, parseExposed } from "./ports.ts";

test.each<[string, string[], string, boolean]>([
  ["80", ["80/tcp"], "tcp", false],
  ["80/", ["80/tcp"], "tcp", false],
  ["53/UDP", ["53/udp"], "UDP", false],
  ["9/sctp", ["9/sctp"], "sctp", false],
  ["0", ["0/tcp"], "tcp", false],
  ["8000-8002", ["8000/tcp", "8001/tcp", "8002/tcp"], "tcp", false],
  ["81:80", ["80/tcp"], "tcp", true],
  ["81-82:80", ["80/tcp"], "tcp", true],
  ["127.0.0.1:81:80/udp", ["80/udp"], "udp", true],
  ["127.0.0.1::80", ["80/tcp"], "tcp", true],
  ["[::1]:81:80", ["80/tcp"], "tcp", true],
  ["::1:81:80", ["80/tcp"], "tcp", true],
])("%s", (word, ports, protocol, isMapping) => {
  expect(exposedPorts([word])).toEqual(ports);
  expect(parseExposed(word)).toMatchObject({ protocol, isMapping });
});

test.each([
  ["x", "invalid containerPort: x"],
  ["80-70", "invalid containerPort: 80-70"],
  ["65536", "invalid containerPort: 65536"],
  ["-1", "invalid containerPort: -1"],
  ["80/foo", "invalid proto: foo"],
  ["/tcp", "no port specified: /tcp<empty>"],
  ["80:", "no port specified: 80:<empty>"],
  ["a.b:1:2", "invalid IP address: a.b"],
  ["x:80", "invalid hostPort: x"],
  ["1-2:80-82", "invalid ranges specified for container and host Ports: 80-82 and 1-2"],
])("%s is wrong", (word, message) => {
  expect(() => parseExposed(word)).toThrow(message);
});

test("all words of one EXPOSE, and an end to them", () => {
  expect(exposedPorts(["1-2", "1-2", "2/udp"])).toEqual(["1/tcp", "2/tcp", "2/udp"]);
  const ranges = Array.from({ length: 10 }, (_, index) => `${index}-65535`);
  expect(() => exposedPorts(ranges)).toThrow(`more than ${MAX_EXPOSED_PORTS} ports in one EXPOSE`);
});
