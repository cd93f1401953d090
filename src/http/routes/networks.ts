import { networkConnect, networkCreate, networkDisconnect } from "../../api/network.ts";
import { EngineError } from "../../base/errors.ts";
import type { Containers } from "../../engine/containers/containers.ts";
import type { Networks } from "../../engine/networks/networks.ts";
import { type Call, json, noContent, type Route } from "../call.ts";

export function networkRoutes(networks: Networks, containers: Containers): Route[] {
  const list: Route["handle"] = ({ query }) => json(networks.list(query.filters()));
  return [
    { method: "GET", path: "/networks", operation: "NetworkList", handle: list },
    // Docker routes the trailing slash too.
    { method: "GET", path: "/networks/", operation: "NetworkList", handle: list },
    {
      method: "GET",
      path: "/networks/{id:.+}",
      operation: "NetworkInspect",
      handle: ({ name, query }) => {
        const verbose = query.text("verbose");
        if (verbose !== undefined && !/^(?:1|t|true|0|f|false)$/i.test(verbose))
          throw new EngineError(
            "invalid",
            `invalid value for verbose: ${verbose}: strconv.ParseBool: parsing "${verbose}": invalid syntax`,
          );
        return json(networks.inspect(name));
      },
    },
    {
      method: "POST",
      path: "/networks/create",
      operation: "NetworkCreate",
      handle: async ({ body }) => json({ Id: await networks.create(await body.json(networkCreate)), Warning: "" }, 201),
    },
    {
      method: "POST",
      path: "/networks/prune",
      operation: "NetworkPrune",
      handle: async ({ query }) => {
        const names = await networks.prune(query.filters());
        return json({ NetworksDeleted: names.length === 0 ? null : names });
      },
    },
    {
      method: "POST",
      path: "/networks/{id:.*}/connect",
      operation: "NetworkConnect",
      async handle({ name, body }: Call) {
        const { Container, EndpointConfig } = await body.json(networkConnect);
        await containers.connectNetwork(name, Container, EndpointConfig);
        return { kind: "empty", status: 200 };
      },
    },
    {
      method: "POST",
      path: "/networks/{id:.*}/disconnect",
      operation: "NetworkDisconnect",
      async handle({ name, body }: Call) {
        const { Container, Force } = await body.json(networkDisconnect);
        await containers.disconnectNetwork(name, Container, Force);
        return { kind: "empty", status: 200 };
      },
    },
    {
      method: "DELETE",
      path: "/networks/{id:.*}",
      operation: "NetworkDelete",
      async handle({ name }) {
        await networks.remove(name);
        return noContent;
      },
    },
  ];
}
