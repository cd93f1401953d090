import { Duplex } from "node:stream";

import { execConfig, execStart } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import type { Containers } from "../../engine/containers/containers.ts";
import { type Answer, type Call, json, type Route } from "../call.ts";
import { answerOf, streamType, terminalSize } from "./containers.ts";

export function execRoutes(containers: Containers): Route[] {
  return [
    { method: "POST", path: "/containers/{name:.*}/exec", operation: "ContainerExec", handle: (call) => create(containers, call) },
    { method: "POST", path: "/exec/{id:.*}/start", operation: "ExecStart", upgrades: true, handle: (call) => start(containers, call) },
    {
      method: "POST",
      path: "/exec/{id:.*}/resize",
      operation: "ExecResize",
      async handle({ name, query }): Promise<Answer> {
        await containers.execResize(name, terminalSize(query));
        return { kind: "empty", status: 200 };
      },
    },
    { method: "GET", path: "/exec/{id:.*}/json", operation: "ExecInspect", handle: ({ name }) => json(containers.execInspect(name)) },
  ];
}

async function create(containers: Containers, { name, body, version }: Call): Promise<Answer> {
  const config = await body.json(execConfig);
  if (config.Cmd === undefined || config.Cmd.length === 0) throw new EngineError("invalid", "No exec command specified");
  return json(await containers.execCreate(name, version < 1042 ? { ...config, ConsoleSize: undefined } : config), 201);
}

async function start(containers: Containers, { name, body, version, isRaw }: Call): Promise<Answer> {
  const options = await body.json(execStart);
  containers.execInspect(name);
  // There is no console without a tty.
  if (version < 1042 || !options.Tty) options.ConsoleSize = undefined;
  if (options.Detach) {
    await containers.execStart(name, { ...options, canHandOver: false });
    return { kind: "empty", status: 200 };
  }
  const contentType = streamType(options.Tty, version);
  try {
    const session = await containers.execStart(name, { ...options, canHandOver: isRaw });
    return session === undefined
      ? { kind: "session", contentType, stream: messageStream("", options.Tty) }
      : answerOf(session, contentType);
  } catch (error) {
    // Docker switches protocols before it starts anything: what goes wrong then is output.
    if (!(error instanceof EngineError)) throw error;
    return { kind: "session", contentType, stream: messageStream(`${error.message}\r\n`, options.Tty) };
  }
}

/** A stream that says one thing on stdout and ends. */
function messageStream(message: string, tty: boolean): Duplex {
  const payload = Buffer.from(message);
  const header = Buffer.alloc(8);
  header[0] = 1;
  header.writeUInt32BE(payload.length, 4);
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, callback) => callback() });
  if (payload.length > 0) stream.push(tty ? payload : Buffer.concat([header, payload]));
  stream.push(null);
  return stream;
}
