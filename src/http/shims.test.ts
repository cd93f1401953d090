import { expect, test } from "vitest";

import { createBody } from "../api/container-config.ts";
import { adaptContainer, adaptContainerSummary, adaptCreate, adaptImage, adaptImageSummary, adaptInfo } from "./shims.ts";

const decode = (body: unknown): ReturnType<typeof createBody.decode> => createBody.decode(body, "");

test("what an old client could not know is taken out of its request", () => {
  const body = decode({
    Image: "a",
    HostConfig: { AutoRemove: true, Annotations: { a: "b" }, ConsoleSize: [1, 2], PidsLimit: -1, KernelMemory: 7 },
  });
  adaptCreate(body, 1024);
  expect(body.HostConfig).toMatchObject({ AutoRemove: false, IpcMode: "shareable", KernelMemory: 7 });
  expect(body.HostConfig?.Annotations).toBeUndefined();
  expect(body.HostConfig?.ConsoleSize).toBeUndefined();
  expect(body.HostConfig?.PidsLimit).toBeUndefined();
});

test("a client of today is taken at its word", () => {
  const body = decode({
    Image: "a",
    HostConfig: { AutoRemove: true, Annotations: { a: "b" }, ConsoleSize: [1, 2], PidsLimit: 5, KernelMemory: 7 },
  });
  expect(adaptCreate(body, 1050)).toEqual([]);
  expect(body.HostConfig).toMatchObject({ AutoRemove: true, IpcMode: "", ConsoleSize: [1, 2], PidsLimit: 5, KernelMemory: 0 });
});

const mount = (settings: object): unknown => ({ Image: "a", HostConfig: { Mounts: [{ Target: "/t", ...settings }] } });

test.each([
  [1042, mount({ Type: "bind", VolumeOptions: {} }), 'VolumeOptions must not be specified on mount type "bind"'],
  [1042, mount({ Type: "volume", TmpfsOptions: {} }), 'TmpfsOptions must not be specified on mount type "volume"'],
  [
    1043,
    mount({ Type: "bind", BindOptions: { ReadOnlyForceRecursive: true } }),
    "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
  ],
  [1044, mount({ Type: "volume", VolumeOptions: { Subpath: "x" } }), "VolumeOptions.Subpath needs API v1.45 or newer"],
  [1047, mount({ Type: "image" }), 'Mount type "Image" needs API v1.48 or newer'],
  [
    1043,
    { Image: "a", NetworkingConfig: { EndpointsConfig: { x: {}, y: {} } } },
    "Container cannot be created with multiple network endpoints: x, y",
  ],
  [
    1044,
    {
      Image: "a",
      MacAddress: "02:00:00:00:00:01",
      NetworkingConfig: { EndpointsConfig: { default: { MacAddress: "02:00:00:00:00:02" } } },
    },
    "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
  ],
])("version %d: %j is refused", (version, body, message) => {
  expect(() => adaptCreate(decode(body), version)).toThrow(message);
});

test("misplaced options were let pass before 1.42, and read-only binds were not recursive before 1.44", () => {
  const misplaced = decode(mount({ Type: "bind", VolumeOptions: {}, ReadOnly: true }));
  adaptCreate(misplaced, 1041);
  expect(misplaced.HostConfig?.Mounts?.[0]?.VolumeOptions).toBeUndefined();
  expect(misplaced.HostConfig?.Mounts?.[0]?.BindOptions?.ReadOnlyNonRecursive).toBe(true);
});

test("a container-wide MAC address is warned about from 1.44 on", () => {
  const body = { Image: "a", MacAddress: "02:00:00:00:00:01" };
  expect(adaptCreate(decode(body), 1043)).toEqual([]);
  expect(adaptCreate(decode(body), 1044)).toEqual([
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
  ]);
});

test("a container is shown as its client's version knows it", () => {
  const id = "a".repeat(64);
  const container = {
    Id: id,
    ImageManifestDescriptor: {},
    Config: { Hostname: "h" },
    NetworkSettings: { Networks: { bridge: { Aliases: null }, mine: { Aliases: ["web"] } } },
  };
  expect(adaptContainer(container, 1050)).toEqual(container);
  expect(adaptContainer(container, 1044)).toEqual({
    Id: id,
    Config: { Hostname: "h" },
    NetworkSettings: { Networks: { bridge: { Aliases: null }, mine: { Aliases: ["web", "a".repeat(12), "h"] } } },
  });
  const summary = { Id: id, HostConfig: { NetworkMode: "bridge", Annotations: { a: "b" } } };
  expect(adaptContainerSummary(summary, 1045)).toEqual({ Id: id, HostConfig: { NetworkMode: "bridge" } });
  expect(adaptContainerSummary(summary, 1046)).toEqual(summary);
});

test("an image is shown as its client's version knows it", () => {
  const summary = { Id: "i", RepoTags: [], RepoDigests: [], Size: 5 };
  expect(adaptImageSummary(summary, 1050)).toEqual(summary);
  expect(adaptImageSummary(summary, 1041)).toEqual({
    Id: "i",
    RepoTags: ["<none>:<none>"],
    RepoDigests: ["<none>@<none>"],
    Size: 5,
    VirtualSize: 5,
  });
  const image = { Id: "i", Size: 5, Created: "", Config: { Cmd: ["sh"] } };
  expect(adaptImage(image, 1050)).toEqual(image);
  expect(adaptImage(image, 1043)).toMatchObject({
    VirtualSize: 5,
    Created: "0001-01-01T00:00:00Z",
    Config: { Cmd: ["sh"], Hostname: "", Entrypoint: null, AttachStdin: false },
  });
});

test("info is shown as its client's version knows it", () => {
  const info = {
    FirewallBackend: { Driver: "nftables" },
    Containerd: {},
    Runtimes: { crun: { path: "/usr/bin/crun", status: {} } },
    RuncCommit: { ID: "x" },
    SecurityOptions: ["name=seccomp,profile=builtin"],
  };
  expect(adaptInfo(info, 1050)).toEqual(info);
  expect(adaptInfo(info, 1024)).toEqual({
    Runtimes: { crun: { path: "/usr/bin/crun" } },
    RuncCommit: { ID: "x", Expected: "x" },
    SecurityOptions: ["seccomp"],
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
  });
});
