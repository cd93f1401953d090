import { createSocket, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { closeSync } from "node:fs";
import { createServer, Socket, type Server } from "node:net";

import { errno, libc, SystemCallError } from "../../src/kernel/ffi.ts";
import { inNamespace, openNamespace } from "../../src/kernel/net/netns.ts";
import { allowSuccessor, bindPort, socketAddress } from "../../src/kernel/net/port-socket.ts";
import { run } from "../../src/testing/run.ts";

/**
 * A host of a test: a network namespace in which sockets serve and ask. A socket belongs for life to the namespace it was made in, so the
 * test process makes each in a window of that namespace and uses it from outside; no process has to live there.
 */
export interface TestHost {
  /** Answers each client with `NAME CLIENT-ADDRESS`. */
  serve(protocol: "tcp" | "udp", address: string, port: number, name: string): Promise<void>;
  /** The answer, or why there was none: TIMEOUT, ECONNREFUSED, ENETUNREACH, … */
  ask(protocol: "tcp" | "udp", address: string, port: number, fromPort?: number): Promise<string>;
  /** Runs a command line of plain words in the namespace; throws when it fails. */
  sh(command: string): Promise<string>;
  /** Closes its sockets. The namespace stays as long as somebody keeps it. */
  close(): Promise<void>;
}

/** A blocked packet is known by silence. What gets through takes a millisecond, on a machine that is not busy. */
const SILENCE_MS = 1500;

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const EINPROGRESS = 115;

const socketCall = libc("int socket(int domain, int type, int protocol)");
const connectCall = libc("int connect(int fd, const void *address, unsigned int length)");

/** The host in the namespace that is kept at `file`. */
export function openHost(file: string): TestHost {
  const namespaceFd = openNamespace(file);
  const servers: (Server | Datagrams)[] = [];
  let closed = false;
  return {
    async serve(protocol, address, port, name) {
      const fd = inNamespace(namespaceFd, () => bindPort({ protocol, address, port }));
      const server = protocol === "tcp" ? answerConnections(fd, name) : answerDatagrams(fd, address, name);
      servers.push(server);
      await once(server, "listening");
    },
    async ask(protocol, address, port, fromPort = 0) {
      try {
        return protocol === "tcp"
          ? await askByConnection(namespaceFd, address, port)
          : await askByDatagram(namespaceFd, address, port, fromPort);
      } catch (error) {
        return error instanceof Error && "code" in error ? String(error.code) : String(error);
      }
    },
    sh: (command) => sh(command, ["nsenter", `--net=/proc/${process.pid}/fd/${namespaceFd}`, "--"]),
    async close() {
      if (closed) return;
      closed = true;
      for (const server of servers.splice(0)) await new Promise<void>((resolve) => void server.close(() => resolve()));
      closeSync(namespaceFd);
    },
  };
}

function answerConnections(fd: number, name: string): Server {
  allowSuccessor(fd);
  const server = createServer((client) => {
    client.on("error", () => undefined);
    client.end(`${name} ${client.remoteAddress}`);
  });
  return server.listen({ fd });
}

function answerDatagrams(fd: number, address: string, name: string): Datagrams {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (_data, from) => socket.send(`${name} ${from.address}`, from.port, from.address));
  // The event of a descriptor comes before `bind` returns, too early for the caller.
  queueMicrotask(() => socket.bind({ fd }));
  return socket;
}

function askByConnection(namespaceFd: number, address: string, port: number): Promise<string> {
  const target = socketAddress(address, port);
  const fd = inNamespace(namespaceFd, () => Number(socketCall(target.readUInt16LE(0), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  if (Number(connectCall(fd, target, target.length)) !== 0 && errno() !== EINPROGRESS) {
    const error = new SystemCallError("connect", errno(), address);
    closeSync(fd);
    throw error;
  }
  const socket = new Socket({ fd, readable: true, writable: true });
  return new Promise((resolve) => {
    let said = "";
    const end = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(SILENCE_MS, () => end("TIMEOUT"));
    socket.on("data", (data) => (said += data.toString()));
    socket.on("end", () => end(said));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

function askByDatagram(namespaceFd: number, address: string, port: number, fromPort: number): Promise<string> {
  const isIpv6 = address.includes(":");
  const fd = inNamespace(namespaceFd, () => bindPort({ protocol: "udp", address: isIpv6 ? "::" : "0.0.0.0", port: fromPort }));
  const socket = createSocket(isIpv6 ? "udp6" : "udp4");
  return new Promise((resolve) => {
    const end = (answer: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end("TIMEOUT"), SILENCE_MS);
    socket.on("message", (data) => end(data.toString()));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.bind({ fd });
    socket.send("?", port, address, (error) => {
      if (error) end("code" in error ? String(error.code) : error.message);
    });
  });
}

/** Runs a command line of plain words, in the test process's own namespace; throws when it fails. */
export async function sh(command: string, enter: string[] = []): Promise<string> {
  const { code, stdout, stderr } = await run([...enter, ...command.split(" ")]);
  if (code !== 0) throw new Error(`${command}: exit code ${code}: ${stderr}`);
  return stdout;
}
