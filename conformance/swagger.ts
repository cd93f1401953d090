import { readFileSync } from "node:fs";
import path from "node:path";

import { Ajv2019, type ValidateFunction } from "ajv/dist/2019.js";
import { parse } from "yaml";

/**
 * Holds answers against the API description (`engine-api-1.50.yaml`): every member must be described there, and have the type it has there.
 *
 * The description is of Swagger 2.0, whose schemas are nearly JSON Schema. What is not: `x-nullable`; `type: file`; members that are not
 * described are allowed unless said otherwise, which would let every slip of the pen through, so here it is the other way round. Where
 * Docker itself strays from its description, `UNDESCRIBED` and `NULL_TOO` say so.
 */
export interface ApiDescription {
  /** What is wrong with an answer; empty when nothing is. `route` is the description's path: `/containers/{id}/json`. */
  check(method: string, route: string, status: number, value: unknown): string[];
  /** The same for one definition, for lines of a stream. */
  checkDefinition(name: string, value: unknown): string[];
}

interface Schema {
  [keyword: string]: unknown;
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  allOf?: Schema[];
  enum?: unknown[];
}

interface Description {
  definitions: Record<string, Schema>;
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, { schema?: Schema }> }>>;
}

/**
 * Members that Docker 28 answers although the description does not know them, or answers null where it allows none: Go's nil slices and
 * maps. `Definition.member`, or `OperationResponse.member` where the answer is described in place.
 */
const UNDESCRIBED: Record<string, Schema> = {
  // Sent to clients of every version that reads it (moby api/types/events.Message, until 1.51).
  "EventMessage.status": { type: "string" },
  "EventMessage.id": { type: "string" },
  "EventMessage.from": { type: "string" },
  "ImageConfig.Shell": { type: ["array", "null"] },
};

/** Statuses that Docker 28 answers although the description does not know them: a name that is taken, one that is none. */
const STATUSES_TOO = new Set(["NetworkCreate 409", "VolumeCreate 400"]);

const NULL_TOO = new Set([
  "ContainerInspectResponse.ExecIDs",
  "ContainerPruneResponse.ContainersDeleted",
  "EndpointSettings.Aliases",
  "EndpointSettings.DNSNames",
  "EndpointSettings.Links",
  "ExecInspectResponse.ExitCode",
  "ImagePruneResponse.ImagesDeleted",
  "IPAM.Config",
  "IPAM.Options",
  "PluginsInfo.Authorization",
  "RegistryServiceConfig.Mirrors",
  "Resources.MemorySwappiness",
  // What `type=` leaves out.
  "SystemDataUsageResponse.BuildCache",
  "SystemDataUsageResponse.Containers",
  "SystemDataUsageResponse.Volumes",
  "SystemInfo.GenericResources",
  "VolumeListResponse.Warnings",
  "NetworkPruneResponse.NetworksDeleted",
  "Volume.Labels",
  "Volume.Options",
  "ContainerConfig.Cmd",
  "ContainerConfig.Entrypoint",
  "ContainerConfig.Env",
  "ContainerConfig.Labels",
  "ContainerConfig.OnBuild",
  "ContainerConfig.Volumes",
  "ContainerConfig.ExposedPorts",
  "HostConfig.Binds",
  "HostConfig.CapAdd",
  "HostConfig.CapDrop",
  "HostConfig.Dns",
  "HostConfig.DnsOptions",
  "HostConfig.DnsSearch",
  "HostConfig.ExtraHosts",
  "HostConfig.GroupAdd",
  "HostConfig.Links",
  "HostConfig.MaskedPaths",
  "HostConfig.Mounts",
  "HostConfig.PortBindings",
  "HostConfig.ReadonlyPaths",
  "HostConfig.SecurityOpt",
  "HostConfig.StorageOpt",
  "HostConfig.Sysctls",
  "HostConfig.Tmpfs",
  "HostConfig.VolumesFrom",
  "Resources.BlkioDeviceReadBps",
  "Resources.BlkioDeviceReadIOps",
  "Resources.BlkioDeviceWriteBps",
  "Resources.BlkioDeviceWriteIOps",
  "Resources.BlkioWeightDevice",
  "Resources.DeviceCgroupRules",
  "Resources.DeviceRequests",
  "Resources.Devices",
  "Resources.Ulimits",
]);

export function readApiDescription(): ApiDescription {
  // The shape is Swagger's; a file that has another fails at the first look-up.
  const description = parse(readFileSync(path.join(import.meta.dirname, "engine-api-1.50.yaml"), "utf8")) as Description;
  const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true, logger: false });
  const definitions: Record<string, Schema> = {};
  for (const [name, schema] of Object.entries(description.definitions)) {
    definitions[name] = convert(schema, name, "open");
    definitions[`closed ${name}`] = convert(schema, name, "closed");
  }
  ajv.addSchema({ $id: "api", definitions });

  const compiled = new Map<string, ValidateFunction>();
  const check = (key: string, makeSchema: () => Schema, value: unknown): string[] => {
    let validate = compiled.get(key);
    if (validate === undefined) {
      validate = ajv.compile(makeSchema());
      compiled.set(key, validate);
    }
    if (validate(value)) return [];
    return (validate.errors ?? [])
      .filter(({ keyword }) => keyword !== "if" && keyword !== "anyOf")
      .map(({ instancePath, message, params }) => `${instancePath || "/"} ${message} ${JSON.stringify(params)}`);
  };
  return {
    check(method, route, status, value) {
      const operation = description.paths[route]?.[method.toLowerCase()];
      const response = operation?.responses[String(status)];
      if (response === undefined && STATUSES_TOO.has(`${operation?.operationId} ${status}`)) return [];
      if (response === undefined) return [`${method} ${route} has no answer ${status}`];
      const { schema } = response;
      if (schema === undefined) return value === undefined || value === "" ? [] : [`${method} ${route} ${status} has no body`];
      return check(`${method} ${route} ${status}`, () => convert(schema, `${operation?.operationId}Response`, "closed"), value);
    },
    checkDefinition: (name, value) => check(name, () => ({ $ref: `api#/definitions/closed%20${name}` }), value),
  };
}

/** A Swagger schema as JSON Schema. `closed`: members that are not described are refused; `open`: it is a part of an `allOf`. */
function convert(schema: Schema, where: string, kind: "open" | "closed"): Schema {
  const nullable = schema["x-nullable"] === true || NULL_TOO.has(where);
  const converted = convertWithoutNull(schema, where, kind);
  if (!nullable) return converted;
  return { anyOf: [{ type: "null" }, converted] };
}

function convertWithoutNull(schema: Schema, where: string, kind: "open" | "closed"): Schema {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace("#/definitions/", "");
    return { $ref: `api#/definitions/${kind === "closed" ? "closed%20" : ""}${name}` };
  }
  const result: Schema = {};
  for (const keyword of ["type", "enum", "required", "minimum", "maximum", "pattern", "minItems", "maxItems"]) {
    if (schema[keyword] !== undefined) result[keyword] = schema[keyword];
  }
  if (schema.properties !== undefined) {
    const properties = Object.entries(schema.properties).map(([name, property]) => [name, convert(property, `${where}.${name}`, "closed")]);
    const added = Object.entries(UNDESCRIBED)
      .filter(([name]) => name.startsWith(`${where}.`))
      .map(([name, property]) => [name.slice(where.length + 1), property]);
    result.properties = Object.fromEntries([...properties, ...added]) as Record<string, Schema>;
  }
  if (schema.items !== undefined) result.items = convert(schema.items, `${where}[]`, "closed");
  if (typeof schema.additionalProperties === "object") {
    result.additionalProperties = convert(schema.additionalProperties, `${where}{}`, "closed");
  }
  if (schema.allOf !== undefined) result.allOf = schema.allOf.map((part) => convert(part, where, "open"));
  const describesMembers = schema.properties !== undefined || schema.allOf !== undefined;
  if (kind === "closed" && describesMembers && schema.additionalProperties === undefined) result["unevaluatedProperties"] = false;
  return result;
}
