import { parentPort } from "node:worker_threads";

import { messageOf } from "../../../base/errors.ts";
import type { NameSockets } from "../../../kernel/net/name-sockets.ts";
import { openContainerServer, type ContainerServer } from "./container-server.ts";
import { NameTable, type NamedEndpoint } from "./names.ts";
import type { DnsView } from "./resolver.ts";

/** What the daemon tells its DNS thread, in this order: names before those who may ask for them. */
export type DnsCommand =
  | { kind: "put"; endpoint: NamedEndpoint }
  | { kind: "remove"; endpointId: string }
  | { kind: "open"; containerId: string; namespaceFile: string; sockets: NameSockets; view: DnsView }
  | { kind: "view"; containerId: string; view: DnsView }
  /** Answered when the container's namespace has been let go of. */
  | { kind: "close"; containerId: string };

export type DnsReport = { kind: "closed"; containerId: string } | { kind: "failed"; containerId: string; message: string };

/** The DNS thread: the names of all networks and a server for each container. */
export function serveDnsWorker(): void {
  if (parentPort === null) throw new Error("this program runs as a worker thread of tsubod only");
  const port = parentPort;
  const table = new NameTable();
  const servers = new Map<string, ContainerServer>();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  const report = (message: DnsReport): void => port.postMessage(message);

  const run = async (command: DnsCommand): Promise<void> => {
    switch (command.kind) {
      case "put":
        return table.put(command.endpoint);
      case "remove":
        return table.remove(command.endpointId);
      case "open": {
        const before = servers.get(command.containerId);
        servers.set(command.containerId, openContainerServer(command.sockets, command.namespaceFile, command.view, table));
        return before?.close();
      }
      case "view": {
        const server = servers.get(command.containerId);
        if (server !== undefined) server.view = command.view;
        return;
      }
      case "close": {
        const server = servers.get(command.containerId);
        servers.delete(command.containerId);
        await server?.close();
        return report({ kind: "closed", containerId: command.containerId });
      }
    }
  };
  port.on("message", (command: DnsCommand) => {
    run(command).catch((error: unknown) => {
      report({ kind: "failed", containerId: "containerId" in command ? command.containerId : "", message: messageOf(error) });
    });
  });
}
