/**
 * Networks: which containers reach whom.
 *
 * Four modes: `bridge` (the default network and, later, user-defined ones), `host`, `none`, and `container:ID`. The engine asks for a
 * network namespace before the container's process is made and hands its path to the OCI runtime; leaving is one unmount. Addresses are
 * leased in the database before the kernel is touched, kernel objects have names derived from ids, so a crash leaves nothing that
 * `restore` does not find.
 */
export interface Networks {
  /** Names and settings of all networks, in the shape of `GET /networks`. */
  list(filters: Map<string, string[]>): NetworkResource[];
  /** One network by name, id or unambiguous id prefix; `notFound` otherwise. */
  inspect(nameOrId: string): NetworkResource;

  /**
   * Gives a container its network namespace with everything in it: address leased, veth on the bridge, routes, published ports. Undone
   * wholly when it rejects. Port conflicts reject in Docker's words (`… Bind for 0.0.0.0:8080 failed: port is already allocated`).
   */
  join(request: JoinRequest): Promise<Joined>;

  /** Takes all of it back: ports, rules, veth, namespace, lease. Idempotent; goes on past failures. */
  leave(containerId: string): Promise<void>;

  /** Makes the kernel agree with the database: bridges, rules, endpoints of the containers that still run; removes what nobody owns. */
  restore(runningContainerIds: string[]): Promise<void>;

  /** What a container that is joined has, for inspect and list. */
  endpointsOf(containerId: string): Endpoint[];

  /** What ought to be in the kernel according to the database, and what is there: the doctor wants the two to be the same. */
  expectedObjects(): KernelObject[];
  kernelObjects(): Promise<KernelObject[]>;

  [Symbol.asyncDispose](): Promise<void>;
}

export interface JoinRequest {
  containerId: string;
  containerName: string;
  hostname: string;
  /** Name or id of the network to join; `none` gives a namespace with only `lo`. `host` and `container:` never come here. */
  network: string;
  /** Fixed address and MAC, where the user asked for them. */
  ipv4Address?: string | undefined;
  macAddress?: string | undefined;
  ports: PortRequest[];
}

export interface PortRequest {
  containerPort: number;
  protocol: "tcp" | "udp" | "sctp";
  /** Empty: every address of the host, IPv4 and IPv6. */
  hostAddress: string;
  /** 0: any free one of the ephemeral range. */
  hostPort: number;
  /** Last of a range to choose from; equal to hostPort for a single one. */
  hostPortEnd: number;
}

export interface Joined {
  /** Path of the namespace, for the OCI spec. */
  netnsPath: string;
  endpoint: Endpoint | undefined;
}

/** A namespace, link, bridge, rule (element of the firewall's sets) or held port, by its name. */
export interface KernelObject {
  kind: "namespace" | "link" | "bridge" | "rule" | "port";
  name: string;
}

/** One container on one network. */
export interface Endpoint {
  networkId: string;
  networkName: string;
  endpointId: string;
  macAddress: string;
  ipv4Address: string;
  ipv4PrefixLength: number;
  gateway: string;
  /** What was published, with the ports that were chosen. */
  ports: PortBinding[];
}

export interface PortBinding {
  containerPort: number;
  protocol: "tcp" | "udp" | "sctp";
  hostAddress: string;
  hostPort: number;
}

/** `GET /networks/{id}` (Engine API 1.50, `Network`). */
export interface NetworkResource {
  Name: string;
  Id: string;
  Created: string;
  Scope: "local";
  Driver: string;
  EnableIPv4: boolean;
  EnableIPv6: boolean;
  IPAM: { Driver: string; Options: Record<string, string> | null; Config: { Subnet: string; Gateway?: string }[] | null };
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  ConfigFrom: { Network: string };
  ConfigOnly: boolean;
  Containers: Record<string, { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }>;
  Options: Record<string, string>;
  Labels: Record<string, string>;
}
