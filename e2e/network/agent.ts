import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { pathToFileURL } from "node:url";

/**
 * A process inside one network namespace that serves and asks, told to by messages from the test. Each service answers with its name and
 * the address it saw its client at.
 */
export type Command =
  | { do: "serve"; protocol: Protocol; host: string; port: number; name: string }
  | { do: "ask"; protocol: Protocol; host: string; port: number; fromPort?: number; timeoutMs?: number };

export type Protocol = "tcp" | "udp";

/** A blocked packet is known by silence; what gets through takes a millisecond. */
const TIMEOUT_MS = 700;

function obey(command: Command): Promise<string> {
  if (command.do === "serve") return command.protocol === "tcp" ? serveTcp(command) : serveUdp(command);
  return command.protocol === "tcp" ? askTcp(command) : askUdp(command);
}

function serveTcp({ host, port, name }: Command & { do: "serve" }): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer((client) => {
      client.on("error", () => undefined);
      client.end(`${name} ${plain(client.remoteAddress ?? "")}`);
    });
    server.on("error", reject);
    server.listen({ host, port, ipv6Only: host.includes(":") }, () => resolve("serving"));
  });
}

function serveUdp({ host, port, name }: Command & { do: "serve" }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.on("error", reject);
    socket.on("message", (_data, from) => socket.send(`${name} ${plain(from.address)}`, from.port, from.address));
    socket.bind(port, host, () => resolve("serving"));
  });
}

function askTcp({ host, port, timeoutMs = TIMEOUT_MS }: Command & { do: "ask" }): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    const socket = connect({ host, port });
    const end = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => end("TIMEOUT"));
    socket.on("data", (data) => (said += data.toString()));
    socket.on("end", () => end(said));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

function askUdp({ host, port, fromPort = 0, timeoutMs = TIMEOUT_MS }: Command & { do: "ask" }): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const end = (answer: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end("TIMEOUT"), timeoutMs);
    socket.on("message", (data) => end(data.toString()));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.bind(fromPort, () => socket.send("?", port, host, (error) => error && end((error as NodeJS.ErrnoException).code ?? "error")));
  });
}

const plain = (address: string): string => address.replace(/^::ffff:/, "");

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.on("message", (message: { id: number; command: Command }) => {
    obey(message.command).then(
      (answer) => process.send?.({ id: message.id, answer }),
      (error: unknown) => process.send?.({ id: message.id, error: String(error) }),
    );
  });
  process.on("disconnect", () => process.exit());
  process.send?.("ready");
}
