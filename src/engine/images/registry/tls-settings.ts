import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";

/**
 * How TLS is spoken to a registry. Runs in the child: loading the root certificates alone takes 50 ms. As with Docker and any Go program,
 * the system's certificates count, plus those in `certs.d/HOST:PORT`: `*.crt` are authorities, `NAME.cert` with `NAME.key` is who we are.
 */
export interface TlsSettings {
  /** `HOST:PORT` as in the reference. */
  host: string;
  /** Any certificate will do. */
  insecure: boolean;
  /** The `certs.d` folders, the first that has the host counts. */
  certificateFolders: string[];
}

const SYSTEM_BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

const contexts = new Map<string, SecureContext>();

/** What makes two connections the same to TLS: a host, and the certificates that are there for it now. */
export function tlsKeyOf(settings: TlsSettings): string {
  const folder = certificateFolder(settings);
  const changed = folder === undefined ? 0 : statSync(folder).mtimeMs;
  return `${settings.host} ${settings.insecure} ${changed}`;
}

export function secureContextOf(settings: TlsSettings): SecureContext {
  const key = tlsKeyOf(settings);
  const known = contexts.get(key);
  if (known !== undefined) return known;
  const own = readOwnCertificates(settings);
  // Where any certificate will do, nobody has to vouch for it.
  const ca = settings.insecure ? [] : [...systemCertificates(), ...own.authorities];
  const context = createSecureContext({ ...own.identity, ca, minVersion: "TLSv1.2" });
  contexts.set(key, context);
  return context;
}

function systemCertificates(): (string | Buffer)[] {
  const file = [process.env["SSL_CERT_FILE"], ...SYSTEM_BUNDLES].find((bundle) => bundle !== undefined && existsSync(bundle));
  return file === undefined ? [...rootCertificates] : [readFileSync(file)];
}

function certificateFolder({ certificateFolders, host }: TlsSettings): string | undefined {
  // The host was parsed as part of a reference: it has neither slashes nor `..`.
  return certificateFolders.map((parent) => path.join(parent, host)).find((folder) => existsSync(folder));
}

function readOwnCertificates(settings: TlsSettings): { authorities: Buffer[]; identity: { cert?: Buffer; key?: Buffer } } {
  const folder = certificateFolder(settings);
  if (folder === undefined) return { authorities: [], identity: {} };
  const names = readdirSync(folder);
  const authorities = names.filter((name) => name.endsWith(".crt")).map((name) => readFileSync(path.join(folder, name)));
  const identity = names.find((name) => name.endsWith(".cert"));
  if (identity === undefined) return { authorities, identity: {} };
  const key = path.join(folder, identity.replace(/\.cert$/, ".key"));
  if (!existsSync(key)) throw new Error(`missing key ${path.basename(key)} for client certificate ${identity} in ${folder}`);
  return { authorities, identity: { cert: readFileSync(path.join(folder, identity)), key: readFileSync(key) } };
}
