import { expect, test } from "vitest";

import type { RegistrySettings } from "../open-images.ts";
import { endpointsOf } from "./endpoints.ts";

const settings = (more: Partial<RegistrySettings>): RegistrySettings => ({
  insecureRegistries: [],
  mirrors: [],
  certificateFolders: [],
  maxConcurrentDownloads: 3,
  maxConcurrentUploads: 5,
  maxDownloadAttempts: 5,
  stallTimeoutMs: 1000,
  retryDelayMs: 1000,
  ...more,
});

/** Each endpoint in a word: `mirror` gets no credentials, `any certificate` will do. */
async function asked(domain: string, more: Partial<RegistrySettings> = {}): Promise<string[]> {
  const endpoints = await endpointsOf(domain, settings(more));
  return endpoints.map(({ baseUrl, isMirror, insecureTls }) =>
    [baseUrl, ...(isMirror ? ["mirror"] : []), ...(insecureTls ? ["any certificate"] : [])].join(" "),
  );
}

test("docker.io: its mirrors in order, then the Hub", async () => {
  const mirrors = ["https://m.example.invalid/path/", "http://127.0.0.1:5000"];
  expect(await asked("docker.io", { mirrors })).toEqual([
    "https://m.example.invalid/path mirror",
    "http://127.0.0.1:5000 mirror any certificate",
    "https://registry-1.docker.io",
  ]);
  await expect(asked("docker.io", { mirrors: ["ftp://m"] })).rejects.toThrow('invalid mirror: "ftp://m"');
});

test.each([
  ["r.example.invalid:5000", [], false],
  ["r.example.invalid:5000", ["r.example.invalid:5000"], true],
  ["r.example.invalid:5001", ["r.example.invalid:5000"], false],
  ["127.0.0.1:5000", [], true],
  ["[::1]:5000", [], true],
  ["10.1.2.3:5000", ["10.0.0.0/8"], true],
  ["11.1.2.3:5000", ["10.0.0.0/8"], false],
  ["[fd00::1]:5000", ["fd00::/8"], true],
])("%s with --insecure-registry %j: without TLS too: %s", async (domain, insecureRegistries, isInsecure) => {
  const expected = isInsecure ? [`https://${domain} any certificate`, `http://${domain} any certificate`] : [`https://${domain}`];
  expect(await asked(domain, { insecureRegistries })).toEqual(expected);
});
