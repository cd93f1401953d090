import { isIPv4 } from "node:net";

import { EngineError } from "../../base/errors.ts";
import { parseBoolean } from "../../base/booleans.ts";
import { bridgeName, type BridgeSettings, type GatewayMode, type NetworkRecord } from "./network-records.ts";

/** What `docker network create --opt` may say to the driver `bridge` (moby libnetwork/drivers/bridge and netlabel). */
const PREFIX = "com.docker.network.";
const LINK_NAME_LIMIT = 15;
const MTU_LIMIT = 65_535;
const MTU_LEAST = 68;

/** Reads a network's options; those of other drivers and unknown ones are kept and mean nothing, as in Docker. */
export function readBridgeOptions({ id, options, internal }: Pick<NetworkRecord, "id" | "options" | "internal">): BridgeSettings {
  const settings: BridgeSettings = { name: bridgeName(id), icc: true, masquerade: true };
  for (const [name, value] of Object.entries(options)) {
    switch (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : "") {
      case "bridge.name":
        if (value === "" || value.length > LINK_NAME_LIMIT || /[\s/:]/.test(value) || value === "." || value === "..")
          throw invalid(name, value, `it is no name for a link: 1 to ${LINK_NAME_LIMIT} characters without blanks, slashes and colons`);
        settings.name = value;
        break;
      case "bridge.enable_icc":
        settings.icc = flag(name, value);
        break;
      case "bridge.enable_ip_masquerade":
        settings.masquerade = flag(name, value);
        break;
      case "bridge.inhibit_ipv4":
        settings.withoutIpv4 = flag(name, value);
        break;
      case "bridge.host_binding_ipv4":
        if (!isIPv4(value)) throw invalid(name, value, "it is no IPv4 address");
        if (value !== "0.0.0.0") settings.bindingAddress = value;
        break;
      case "driver.mtu": {
        const mtu = Number(value);
        if (!/^\d+$/.test(value) || (mtu !== 0 && (mtu < MTU_LEAST || mtu > MTU_LIMIT)))
          throw invalid(name, value, `an MTU is a number from ${MTU_LEAST} to ${MTU_LIMIT}`);
        if (mtu !== 0) settings.mtu = mtu;
        break;
      }
      case "bridge.gateway_mode_ipv4":
        settings.gatewayModes = { ...settings.gatewayModes, 4: gatewayMode(name, value, internal) };
        break;
      case "bridge.gateway_mode_ipv6":
        settings.gatewayModes = { ...settings.gatewayModes, 6: gatewayMode(name, value, internal) };
        break;
    }
  }
  return settings;
}

function gatewayMode(name: string, value: string, internal: boolean): GatewayMode {
  switch (value) {
    case "":
    case "nat":
      return "nat";
    case "nat-unprotected":
      return value;
    case "isolated":
      if (!internal) throw invalid(name, value, "only an internal network has that mode");
      return value;
    case "routed":
      throw invalid(name, value, "that mode is not there yet: nat, nat-unprotected and isolated are");
    default:
      throw invalid(name, value, "nat, nat-unprotected and isolated are modes of a gateway");
  }
}

function flag(name: string, value: string): boolean {
  const read = parseBoolean(value);
  if (read === undefined) throw invalid(name, value, "it is neither true nor false");
  return read;
}

function invalid(option: string, value: string, why: string): EngineError {
  return new EngineError("invalid", `invalid value for option ${option}: ${JSON.stringify(value)}: ${why}`);
}
