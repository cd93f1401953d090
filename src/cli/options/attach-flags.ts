import type { Flag } from "../arguments.ts";

/** Flags of the commands that join our streams to a container's. */

export const detachKeysFlag: Flag = {
  name: "detach-keys",
  kind: "text",
  value: "string",
  usage: "Keys that leave the terminal and let it run on (ctrl-p,ctrl-q)",
};

export const signalProxyFlag: Flag = {
  name: "sig-proxy",
  kind: "boolean",
  initial: "true",
  usage: "Pass signals on to the container",
};
