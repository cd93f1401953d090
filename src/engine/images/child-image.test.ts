import { expect, test } from "vitest";

import { childImageJson, type ChildFacts, type ParentFacts } from "./child-image.ts";

const PARENT: ParentFacts = {
  architecture: "arm64",
  variant: "v8",
  os: "linux",
  "os.version": "",
  diffIds: ["sha256:1"],
  // As a stranger may have ordered it.
  history: [{ comment: "c", created_by: "RUN <x>", author: "a", created: "2024-01-01T00:00:00Z", empty_layer: true }],
};
const CHILD: ChildFacts = {
  author: "me & you",
  comment: "",
  created: "2024-01-02T00:00:00Z",
  createdBy: "",
  config: { Cmd: null },
  containerConfig: {},
  containerId: "box",
  diffId: "sha256:2",
  serverVersion: "1",
};

test("a child's config has Docker's bytes", () => {
  expect(childImageJson(PARENT, CHILD).bytes.toString()).toBe(
    '{"architecture":"arm64","author":"me \\u0026 you","config":{"Cmd":null},"container":"box","container_config":{},' +
      '"created":"2024-01-02T00:00:00Z","docker_version":"1","history":[' +
      '{"created":"2024-01-01T00:00:00Z","author":"a","created_by":"RUN \\u003cx\\u003e","comment":"c","empty_layer":true},' +
      '{"created":"2024-01-02T00:00:00Z","author":"me \\u0026 you"}],' +
      '"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:1","sha256:2"]},"variant":"v8"}',
  );
});

test("a child without files of its own, from nothing", () => {
  const { bytes, history } = childImageJson(
    { architecture: "amd64", os: "linux", diffIds: [], history: [] },
    { ...CHILD, author: "", comment: "why", containerId: undefined, diffId: undefined },
  );
  expect(history).toEqual([{ created: CHILD.created, comment: "why", empty_layer: true }]);
  expect(bytes.toString()).toContain('"rootfs":{"type":"layers"}');
  expect(bytes.toString()).not.toMatch(/author|container"|variant|os\.version/);
});
