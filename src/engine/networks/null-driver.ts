import type { NetworkDriver } from "./network-driver.ts";

/** The network `none`: a namespace with nothing but `lo`. Published ports are kept out of it, as Docker does. */
export const nullDriver: NetworkDriver = {
  validate: () => undefined,
  setUp: async () => undefined,
  tearDown: async () => undefined,
  setUpEndpoint: async () => undefined,
  publish: async (_network, endpoint) => endpoint,
  withdraw: async () => undefined,
  tearDownEndpoint: async () => undefined,
  unplug: async () => undefined,
  resumeEndpoint: async () => true,
};
