import http from "node:http";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";

import { JobError } from "../../../store/child/serve.ts";
import { requestError } from "./network-words.ts";
import { proxyFor, proxyHeaders } from "./proxy.ts";
import { secureContextOf, type TlsSettings } from "./tls-settings.ts";

/** A connection for one GET of something large: read through one buffer that is used again and again, perhaps by way of a proxy. */
export interface Connection {
  /** What is written before it is connected goes out then. */
  socket: net.Socket;
  /** How the request has to name what it wants. */
  target: string;
  /** For the proxy. */
  headers: Record<string, string>;
}

export interface ConnectionOptions {
  url: URL;
  tls: TlsSettings;
  userAgent: string;
  timeoutMs: number;
  /** Gets pieces that are only valid during the call. */
  receive: (bytes: Buffer) => void;
}

const BUFFER_BYTES = 256 * 1024;

export async function openConnection(options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
  const { url, receive } = options;
  const proxy = proxyFor(url);
  const path = url.pathname + url.search;
  if (proxy === undefined) return { socket: connect(url, options.tls, receive), target: path, headers: {} };
  if (url.protocol === "http:") {
    const own = { ...options.tls, host: proxy.host, insecure: false };
    return { socket: connect(proxy, own, receive), target: url.origin + path, headers: proxyHeaders(proxy) };
  }
  const tunnel = await openTunnel(options, proxy, signal);
  // A socket over another knows no `onread`.
  return { socket: tls.connect({ socket: tunnel, ...tlsOptions(url, options.tls) }).on("data", receive), target: path, headers: {} };
}

function connect(url: URL, settings: TlsSettings, receive: (bytes: Buffer) => void): net.Socket {
  const options: net.TcpNetConnectOpts = {
    host: bareHostname(url),
    port: portOf(url),
    onread: {
      buffer: Buffer.allocUnsafeSlow(BUFFER_BYTES),
      callback: (bytes, buffer) => {
        receive(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
        return true;
      },
    },
  };
  return url.protocol === "https:" ? tls.connect({ ...options, ...tlsOptions(url, settings) }) : net.connect(options);
}

function tlsOptions(url: URL, settings: TlsSettings): tls.ConnectionOptions {
  const host = bareHostname(url);
  const secureContext = secureContextOf(settings);
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  return { host, secureContext, rejectUnauthorized: !settings.insecure, ...name, ALPNProtocols: ["http/1.1"] };
}

/** Has a proxy connect us to a host. */
function openTunnel({ url, userAgent, timeoutMs }: ConnectionOptions, proxy: URL, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const target = `${url.hostname}:${portOf(url)}`;
    const fail = (error: unknown): void => reject(new JobError(requestError("GET", url.href, error), { network: true }));
    const asked = (proxy.protocol === "https:" ? https : http).request({
      hostname: bareHostname(proxy),
      port: portOf(proxy),
      method: "CONNECT",
      path: target,
      headers: { host: target, "user-agent": userAgent, ...proxyHeaders(proxy) },
      agent: false,
      signal,
    });
    asked.on("connect", (response, socket) => {
      asked.setTimeout(0);
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      fail(new Error(`proxyconnect tcp: ${response.statusCode} ${response.statusMessage}`));
    });
    asked.setTimeout(timeoutMs, () => asked.destroy(new Error("proxyconnect tcp: i/o timeout")));
    asked.on("error", fail).end();
  });
}

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === "https:" ? 443 : 80));
}

function bareHostname(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}
