import type { EndpointRecord } from "./endpoint-records.ts";
import type { NetworkRecord } from "./network-records.ts";
import type { PortRequest } from "./networks.ts";

/**
 * A kind of network. `validate…` refuses what the driver cannot do and touches nothing; `setUp…` makes it so and takes back what it made
 * when it throws; `tearDown…` is idempotent, goes on past failures and throws what it collected at the end. The container's namespace is
 * there before its first endpoint is set up and goes after the last was torn down.
 */
export interface NetworkDriver {
  validate(network: NetworkRecord): void;
  /** Makes the network's own kernel objects. */
  setUp(network: NetworkRecord): Promise<void>;
  tearDown(network: NetworkRecord): Promise<void>;

  /** Links the container's namespace, kept at `namespaceFile`, to the network. */
  setUpEndpoint(network: NetworkRecord, endpoint: EndpointRecord, namespaceFile: string): Promise<void>;
  /** Publishes ports on an endpoint that was set up; gives the endpoint with them. */
  publish(network: NetworkRecord, endpoint: EndpointRecord, ports: readonly PortRequest[]): Promise<EndpointRecord>;
  /** Takes an endpoint's ports back; idempotent. */
  withdraw(network: NetworkRecord, endpoint: EndpointRecord): Promise<void>;
  /** Ports and all. */
  tearDownEndpoint(network: NetworkRecord, endpoint: EndpointRecord): Promise<void>;
  /** Takes the link of a torn-down endpoint out of a namespace that stays. */
  unplug(network: NetworkRecord, endpoint: EndpointRecord): Promise<void>;
  /**
   * Brings back what a daemon holds of an endpoint whose container runs on: ports, rules, its place on the network. False: its link is not
   * there, since the daemon died while it was made or taken away.
   */
  resumeEndpoint(network: NetworkRecord, endpoint: EndpointRecord): Promise<boolean>;
}
