import type { NetworkCreate } from "../../api/network.ts";
import type { Upstream } from "./dns/resolver.ts";

/**
 * Networks: which containers reach whom.
 *
 * Modes: a bridge network (the default one or a user-defined one; a container may be on several), `host`, `none`, and `container:ID`. The
 * engine asks for a network namespace before the container's process is made and hands its path to the OCI runtime; leaving is one
 * unmount. Addresses are leased in the database before the kernel is touched, kernel objects have names derived from ids, so a crash
 * leaves nothing that `restore` does not find.
 */
export interface Networks {
  /** Names and settings of all networks, in the shape of `GET /networks`. */
  list(filters: Map<string, string[]>): NetworkResource[];
  /** One network by name, id or unambiguous id prefix; `notFound` otherwise. */
  inspect(nameOrId: string): NetworkResource;

  /** Id of the network of that name or id; the name itself where there is none. For lists: does not throw. */
  idOf(nameOrId: string): string | undefined;
  /** Makes a network and gives its id: everything checked first, in Docker's words, and undone wholly when it rejects. */
  create(request: NetworkCreate): Promise<string>;
  /** Removes a network that no container is on. */
  remove(nameOrId: string): Promise<void>;
  /** Removes all that no container is on and that the filters (label, label!, until) let through; gives their names. */
  prune(filters: Map<string, string[]>): Promise<string[]>;

  /**
   * Gives a container its network namespace with everything in it: addresses leased, a link on each network, routes, published ports.
   * Undone wholly when it rejects. Port conflicts reject in Docker's words (`… Bind for 0.0.0.0:8080 failed: port is already allocated`).
   */
  join(request: JoinRequest): Promise<Joined>;
  /** Puts a container that has joined on one more network. */
  connect(request: ConnectRequest): Promise<Endpoint>;
  /** Takes a container that has joined off one network; `ports` as in `connect`. Idempotent. */
  disconnect(containerId: string, networkId: string, ports: PortRequest[]): Promise<void>;
  /** What connect and disconnect do last, for one that was cut short: default route and ports are where they belong. */
  settle(containerId: string, ports: PortRequest[]): Promise<void>;

  /** Takes all of it back: ports, rules, veth, namespace, lease. Idempotent; goes on past failures. */
  leave(containerId: string): Promise<void>;

  /** Makes the kernel agree with the database: bridges, rules, endpoints of the containers that still run; removes what nobody owns. */
  restore(runningContainerIds: string[]): Promise<void>;

  /** What a container that is joined has, for inspect and list. */
  endpointsOf(containerId: string): Endpoint[];

  /** What is on a network now. */
  endpointsOn(networkId: string): (Endpoint & Member)[];
  /** A container that is linked to others on the default network may reach these of their ports now, and no others. */
  allow(containerId: string, ports: LinkedPort[]): Promise<void>;
  /**
   * Serves names to a container that has joined, at 127.0.0.11 in its namespace: those of the others on its user-defined networks, and what
   * its upstream servers know. Again after what it is on, or its servers, have changed.
   */
  serveNames(containerId: string, settings: NameServerSettings): Promise<void>;
  /** A container has another name. */
  rename(containerId: string, newName: string, dnsNames: (network: string) => string[]): void;

  /** What ought to be in the kernel according to the database, and what is there: the doctor wants the two to be the same. */
  expectedObjects(): KernelObject[];
  kernelObjects(): Promise<KernelObject[]>;

  [Symbol.asyncDispose](): Promise<void>;
}

export interface Member {
  containerId: string;
  containerName: string;
}

export interface JoinRequest extends Member {
  /** In the order of the links; `none` alone gives a namespace with only `lo`. `host` and `container:` never come here. */
  endpoints: EndpointRequest[];
  ports: PortRequest[];
}

export interface NameServerSettings {
  upstreams: Upstream[];
  keepsSingleLabels: boolean;
}

export interface ConnectRequest extends Member {
  endpoint: EndpointRequest;
  /** What the container publishes, if this becomes the network by which it is reached. */
  ports: PortRequest[];
}

export interface EndpointRequest {
  /** Name or id. */
  network: string;
  /** Fixed addresses and MAC, where the user asked for them. */
  ipv4Address?: string | undefined;
  ipv6Address?: string | undefined;
  macAddress?: string | undefined;
  /** What the link is called inside; `eth0`, `eth1`, … where nobody says. */
  linkName?: string | undefined;
  /** Under which others on a user-defined network find it. */
  dnsNames: string[];
  /** `name:alias`: names that this container alone has for others on a user-defined network. */
  links: string[];
  /** What it may reach although its network is closed (`icc=false`). */
  linkedPorts: LinkedPort[];
  /** The highest gives the default route. */
  gatewayPriority: number;
}

export interface LinkedPort {
  address: string;
  port: number;
  protocol: "tcp" | "udp" | "sctp";
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
  endpoints: Endpoint[];
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
  /** Empty, and 0, where the network has no IPv6. */
  ipv6Address: string;
  ipv6PrefixLength: number;
  ipv6Gateway: string;
  /** Name of the link inside: `eth0`. */
  containerLink: string;
  gatewayPriority: number;
  /** The default route goes by this network, and ports are published on it. */
  isGateway: boolean;
  dnsNames: string[];
  links: string[];
  linkedPorts: LinkedPort[];
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
  IPAM: { Driver: string; Options: Record<string, string> | null; Config: PoolResource[] | null };
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  ConfigFrom: { Network: string };
  ConfigOnly: boolean;
  Containers: Record<string, { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }>;
  Options: Record<string, string>;
  Labels: Record<string, string>;
}

export interface PoolResource {
  Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}
