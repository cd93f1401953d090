import { isIPv6 } from "node:net";

import { libc } from "../ffi.ts";

/** IP addresses of both families as the kernel has them, 4 or 16 bytes, and as people write them. */

export const AF_INET = 2;
export const AF_INET6 = 10;

const TEXT_BYTES = 46;

const inetPtonCall = libc("int inet_pton(int family, const char *text, void *bytes)");
const inetNtopCall = libc("const char *inet_ntop(int family, const void *bytes, void *text, unsigned int size)");

/** The bytes of an address that was validated before. */
export function addressBytes(text: string): Buffer {
  const bytes = Buffer.alloc(isIPv6(text) ? 16 : 4);
  if (inetPtonCall(familyOf(bytes), text, bytes) !== 1) throw new Error(`not an IP address: ${text}`);
  return bytes;
}

/** The shortest form (RFC 5952). */
export function addressText(bytes: Buffer): string {
  return String(inetNtopCall(familyOf(bytes), bytes, Buffer.alloc(TEXT_BYTES), TEXT_BYTES));
}

export function familyOf(bytes: Buffer): number {
  return bytes.length === 16 ? AF_INET6 : AF_INET;
}
