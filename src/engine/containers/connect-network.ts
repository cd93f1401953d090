import { endpointSettings, type EndpointSettings } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { Undo } from "../../base/undo.ts";
import type { ConnectRequest, EndpointRequest } from "../networks/networks.ts";
import { checkNetworking } from "./config-checks.ts";
import { isRunning, statusOf, type Container } from "./container.ts";
import { publishNetworkEvent, type ContainerContext } from "./context.ts";
import { endpointRequestOf, endpointRequestsOf } from "./endpoint-requests.ts";
import { appendOwnAddress, removeOwnAddress } from "./hosts-entries.ts";
import { namespaceMode } from "./namespace-modes.ts";
import { portRequestsOf } from "./ports.ts";
import { settleResolver } from "./resolver.ts";

/**
 * `POST /networks/{id}/connect`. The container's record says what it is to be on and is written first; a start after a crash makes it so
 * (`restore.ts`).
 */
export async function connectNetwork(
  context: ContainerContext,
  networkName: string,
  containerName: string,
  asked: EndpointSettings | undefined,
): Promise<void> {
  const settings = asked ?? endpointSettings.zero();
  const network = context.networks.inspect(networkName);
  const container = context.set.get(containerName);
  await context.set.locked(container, async () => {
    checkConnectable(context, container);
    const { NetworkMode } = container.hostConfig;
    if (namespaceMode(NetworkMode) === "container") throw conflict(SHARED);
    if (NetworkMode === "host" || network.Driver === "host") throw conflict(HOST);
    if (NetworkMode === "none" || network.Driver === "null") throw conflict(NONE);
    checkNetworking({ EndpointsConfig: new Map([[network.Name, settings]]) });

    const before = container.networking;
    const running = isRunning(container);
    if (running && context.networks.endpointsOf(container.id).some(({ networkId }) => networkId === network.Id))
      throw new EngineError("forbidden", `endpoint with name ${container.name} already exists in network ${network.Name}`);

    await using undo = new Undo((message) => context.log.error({ container: container.id }, message));
    undo.defer("its record", async () => {
      container.networking = before;
      await context.set.save(container);
    });
    container.networking = { EndpointsConfig: new Map([...before.EndpointsConfig, [network.Name, settings]]) };
    await context.set.save(container);
    failpoint("containers.connect.saved");
    if (running) {
      const request = { ...endpointRequestOf(container, network.Name, settings), network: network.Id };
      const endpoint = await context.networks.connect(connectRequest(container, request));
      undo.defer("its connection", () =>
        context.networks.disconnect(container.id, network.Id, portRequestsOf(container.config, container.hostConfig)),
      );
      await settleResolver(context, container);
      await appendOwnAddress(context, container, endpoint);
      publishNetworkEvent(context, container, endpoint, "connect");
    }
    failpoint("containers.connect.connected");
    undo.keep();
  });
}

/** `POST /networks/{id}/disconnect`. By force also from a network, or of a container, that is gone. */
export async function disconnectNetwork(
  context: ContainerContext,
  networkName: string,
  containerName: string,
  force: boolean,
): Promise<void> {
  const network = context.networks.inspect(networkName);
  const container = context.set.find(containerName);
  if (container === undefined) {
    if (!force) throw new EngineError("notFound", `No such container: ${containerName}`);
    const left = context.networks.endpointsOn(network.Id).find((endpoint) => endpoint.containerName === containerName.replace(/^\//, ""));
    if (left === undefined) throw new EngineError("notFound", `endpoint ${containerName} not found`);
    await context.networks.disconnect(left.containerId, network.Id, []);
    return;
  }
  await context.set.locked(container, async () => {
    checkConnectable(context, container);
    if (container.hostConfig.NetworkMode === "host" || network.Driver === "host") throw conflict(HOST);
    const endpoint = context.networks.endpointsOf(container.id).find(({ networkId }) => networkId === network.Id);
    const { EndpointsConfig } = container.networking;
    const names = [network.Name, network.Id].filter((name) => EndpointsConfig.has(name));
    if (endpoint === undefined && names.length === 0)
      throw new EngineError("forbidden", `container ${container.id} is not connected to network ${network.Name}`);
    container.networking = {
      EndpointsConfig: new Map([...EndpointsConfig].filter(([name]) => !names.includes(name))),
    };
    await context.set.save(container);
    failpoint("containers.disconnect.saved");
    if (endpoint === undefined) return;
    await context.networks.disconnect(container.id, network.Id, portRequestsOf(container.config, container.hostConfig));
    await settleResolver(context, container);
    await removeOwnAddress(context, container, endpoint);
    failpoint("containers.disconnect.done");
    publishNetworkEvent(context, container, endpoint, "disconnect");
  });
}

/** What a crash has left of a connect or disconnect of a container that runs is brought to its end: its record says what it is to be on. */
export async function reconcileNetworks(context: ContainerContext, container: Container): Promise<void> {
  const { networks } = context;
  if (namespaceMode(container.hostConfig.NetworkMode) !== "own") return;
  const wanted = new Map(endpointRequestsOf(container).map((request) => [networks.idOf(request.network), request]));
  const endpoints = networks.endpointsOf(container.id);
  for (const { networkId } of endpoints)
    if (!wanted.has(networkId)) await networks.disconnect(container.id, networkId, portRequestsOf(container.config, container.hostConfig));
  for (const [id, request] of wanted) {
    if (id === undefined || endpoints.some(({ networkId }) => networkId === id)) continue;
    await networks.connect(connectRequest(container, { ...request, network: id }));
  }
  await networks.settle(container.id, portRequestsOf(container.config, container.hostConfig));
  await settleResolver(context, container);
}

function connectRequest(container: Container, endpoint: EndpointRequest): ConnectRequest {
  return {
    containerId: container.id,
    containerName: container.name,
    endpoint,
    ports: portRequestsOf(container.config, container.hostConfig),
  };
}

function checkConnectable(context: ContainerContext, container: Container): void {
  if (context.set.find(container.id) === undefined) throw new EngineError("notFound", `No such container: ${container.name}`);
  const status = statusOf(container);
  if (status === "removing" || status === "dead")
    throw new EngineError(
      "conflict",
      `container ${container.id} is marked for removal and cannot be connected or disconnected to the network`,
    );
}

/** The words of moby's runconfig. */
const SHARED = "container sharing network namespace with another container or host cannot be connected to any other network";
const HOST = "container cannot be disconnected from host network or connected to host network";
const NONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode";

function conflict(message: string): EngineError {
  return new EngineError("invalid", message);
}
