import { isIP } from "node:net";

import type { ContainerConfig, HostConfig } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import type { PortRequest } from "../networks/networks.ts";

/** A container's port as `80/tcp`. */
export interface ContainerPort {
  port: number;
  protocol: "tcp" | "udp" | "sctp";
}

const PORT_LIMIT = 65_535;

/** What is to be published: the bindings asked for and, with `-P`, a free port of the host for every exposed port that has none. */
export function portRequestsOf(config: Pick<ContainerConfig, "ExposedPorts">, hostConfig: HostConfig): PortRequest[] {
  const requests: PortRequest[] = [];
  for (const [spec, bindings] of hostConfig.PortBindings ?? []) {
    const { port, protocol } = parsePort(spec);
    for (const { HostIp, HostPort } of bindings ?? []) {
      const [hostPort, hostPortEnd] = parseRange(HostPort);
      requests.push({ containerPort: port, protocol, hostAddress: HostIp, hostPort, hostPortEnd });
    }
  }
  if (hostConfig.PublishAllPorts) {
    for (const spec of config.ExposedPorts?.keys() ?? []) {
      const { port, protocol } = parsePort(spec);
      if (requests.some((request) => request.containerPort === port && request.protocol === protocol)) continue;
      requests.push({ containerPort: port, protocol, hostAddress: "", hostPort: 0, hostPortEnd: 0 });
    }
  }
  return requests.sort((a, b) => a.containerPort - b.containerPort || (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0));
}

/** Refuses bindings and exposed ports that cannot be, in Docker's words. */
export function checkPorts(config: Pick<ContainerConfig, "ExposedPorts">, hostConfig: Pick<HostConfig, "PortBindings">): void {
  for (const spec of config.ExposedPorts?.keys() ?? []) parsePort(spec);
  for (const [spec, bindings] of hostConfig.PortBindings ?? []) {
    parsePort(spec);
    for (const { HostIp, HostPort } of bindings ?? []) {
      parseRange(HostPort);
      if (HostIp !== "" && isIP(HostIp) === 0) throw new EngineError("invalid", `invalid IP address: ${HostIp}`);
    }
  }
}

/** Reads `80/tcp` or `80`. */
export function parsePort(spec: string): ContainerPort {
  const [digits = "", protocol = "tcp"] = spec.split("/");
  const port = parseNumber(digits);
  if (port === undefined) throw invalidPort(digits);
  switch (protocol === "" ? "tcp" : protocol.toLowerCase()) {
    case "tcp":
      return { port, protocol: "tcp" };
    case "udp":
      return { port, protocol: "udp" };
    case "sctp":
      return { port, protocol: "sctp" };
    default:
      throw invalidPort(spec);
  }
}

/** `8080`, `8000-8010`, or nothing: any free port. */
function parseRange(text: string): [first: number, last: number] {
  if (text === "") return [0, 0];
  const [first = "", last = first] = text.split("/", 1)[0]?.split("-") ?? [];
  const [from, to] = [parseNumber(first), parseNumber(last)];
  if (from === undefined || to === undefined || to < from) throw invalidPort(text);
  return [from, to];
}

function parseNumber(digits: string): number | undefined {
  return /^\d{1,5}$/.test(digits) && Number(digits) <= PORT_LIMIT ? Number(digits) : undefined;
}

function invalidPort(text: string): EngineError {
  return new EngineError("invalid", `invalid port specification: ${JSON.stringify(text)}`);
}
