import http from "node:http";
import net, { type AddressInfo } from "node:net";

/** A forward proxy that tells what it was asked for, and by whom. */
export interface TestProxy {
  readonly host: string;
  /** `CONNECT HOST:PORT`, `GET http://HOST:PORT/…` */
  readonly asked: string[];
  readonly passwords: (string | undefined)[];
  close(): Promise<void>;
}

export async function openProxy(): Promise<TestProxy> {
  const asked: string[] = [];
  const passwords: (string | undefined)[] = [];
  const note = ({ method, url = "", headers }: http.IncomingMessage): string => {
    asked.push(`${method} ${url}`);
    passwords.push(headers["proxy-authorization"]);
    return url;
  };
  const server = http.createServer((incoming, outgoing) => {
    const url = note(incoming);
    const { "proxy-authorization": _secret, ...headers } = incoming.headers;
    const passed = http.request(url, { method: incoming.method, headers, agent: false }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    incoming.pipe(passed);
  });
  const tunnels = new Set<net.Socket>();
  server.on("connect", (incoming, client: net.Socket) => {
    const [host = "", port] = note(incoming).split(":");
    const target = net.connect(Number(port), host, () => client.write("HTTP/1.1 200 Connection established\r\n\r\n"));
    for (const socket of [client, target]) {
      tunnels.add(socket);
      socket.on("error", () => socket.destroy());
    }
    client.pipe(target).pipe(client);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    // A TCP server's address is one.
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    passwords,
    async close() {
      for (const socket of tunnels) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}
