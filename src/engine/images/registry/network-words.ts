import { codeOf, messageOf } from "../../../base/errors.ts";

/** What went wrong on the network, in the words of Go's net package, which Docker shows and people search for. */
export function requestError(method: string, url: string, error: unknown): string {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return `${verb} "${url}": ${networkError(error, new URL(url).hostname)}`;
}

export function networkError(error: unknown, hostname: string): string {
  // Several addresses were tried; IPv4 comes last and is what people know.
  if (error instanceof AggregateError && error.errors.length > 0) return networkError(error.errors.at(-1), hostname);
  const address = addressOf(error);
  switch (codeOf(error)) {
    case "ENOTFOUND":
      return `dial tcp: lookup ${hostname}: no such host`;
    case "EAI_AGAIN":
      return `dial tcp: lookup ${hostname}: Temporary failure in name resolution`;
    case "ECONNREFUSED":
      return `dial tcp ${address}: connect: connection refused`;
    case "EHOSTUNREACH":
      return `dial tcp ${address}: connect: no route to host`;
    case "ENETUNREACH":
      return `dial tcp ${address}: connect: network is unreachable`;
    case "ETIMEDOUT":
      return `dial tcp ${address}: i/o timeout`;
    case "ECONNRESET":
      return messageOf(error) === "socket hang up" ? "EOF" : "read: connection reset by peer";
    case "EPROTO":
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      return /wrong version number|packet length too long|http request/i.test(messageOf(error))
        ? "http: server gave HTTP response to HTTPS client"
        : `remote error: ${messageOf(error)}`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_GET_ISSUER_CERT":
      return "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `tls: failed to verify certificate: x509: certificate is not valid for ${hostname}`;
    default:
      return messageOf(error);
  }
}

function addressOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const address = "address" in error ? String(error.address) : "";
  const port = "port" in error ? String(error.port) : "";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
