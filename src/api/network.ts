import { array, boolean, mapOf, optional, string, struct, type Decoded } from "./decode.ts";
import { endpointSettings } from "./container-config.ts";

/** Bodies of the network endpoints (Engine API 1.50). */

const ipamConfig = struct("IPAMConfig", {
  Subnet: string,
  IPRange: string,
  Gateway: string,
  AuxiliaryAddresses: optional(mapOf(string)),
});

/** `POST /networks/create` */
export const networkCreate = struct("CreateRequest", {
  Name: string,
  Driver: string,
  Scope: string,
  EnableIPv4: optional(boolean),
  EnableIPv6: optional(boolean),
  IPAM: struct("IPAM", { Driver: string, Options: optional(mapOf(string)), Config: array(ipamConfig) }),
  Internal: boolean,
  Attachable: boolean,
  Ingress: boolean,
  ConfigOnly: boolean,
  ConfigFrom: struct("ConfigReference", { Network: string }),
  Options: mapOf(string),
  Labels: mapOf(string),
});
export type NetworkCreate = Decoded<typeof networkCreate>;

/** `POST /networks/{id}/connect` */
export const networkConnect = struct("ConnectOptions", { Container: string, EndpointConfig: optional(endpointSettings) });

/** `POST /networks/{id}/disconnect` */
export const networkDisconnect = struct("DisconnectOptions", { Container: string, Force: boolean });
