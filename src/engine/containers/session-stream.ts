import { Duplex } from "node:stream";

import { DetachFilter } from "./detach-keys.ts";

/** The two shapes a session's stream may need on the way from the keeper to a client. Neither copies what it passes on. */

/** `stream`, on whose input the detach keys are watched: when they are typed, `onDetach` is told and the session ends; its target goes on. */
export function withDetachKeys(stream: Duplex, keys: Uint8Array, onDetach: () => void): Duplex {
  const filter = new DetachFilter(keys);
  return wrapped(stream, {
    write(chunk, outer, done) {
      const { passed, detached } = filter.push(chunk);
      if (!detached) {
        if (passed.length === 0) done();
        else stream.write(passed, done);
        return;
      }
      if (passed.length > 0) stream.write(passed);
      onDetach();
      outer.push(null);
      stream.destroy();
      done();
    },
    final(done) {
      const held = filter.end();
      if (held.length > 0) stream.write(held);
      stream.end(done);
    },
    ended: (outer) => outer.push(null),
  });
}

/** `stream`, whose end waits for `known`: a client that has seen the end of its exec asks for the exit code next. */
export function endingAfter(stream: Duplex, known: Promise<void>): Duplex {
  return wrapped(stream, {
    write: (chunk, _outer, done) => void stream.write(chunk, done),
    final: (done) => void stream.end(done),
    ended: (outer) => void known.then(() => outer.push(null)),
  });
}

interface Ways {
  write: (chunk: Uint8Array, outer: Duplex, done: (error?: Error | null) => void) => void;
  final: (done: () => void) => void;
  ended: (outer: Duplex) => void;
}

function wrapped(inner: Duplex, ways: Ways): Duplex {
  const outer: Duplex = new Duplex({
    read: () => void inner.resume(),
    write: (chunk: Uint8Array, _encoding, done) => ways.write(chunk, outer, done),
    final: ways.final,
    destroy(error, done) {
      inner.destroy();
      done(error);
    },
  });
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    if (!outer.destroyed && !outer.readableEnded) ways.ended(outer);
  };
  inner.on("data", (chunk: Uint8Array) => {
    if (!outer.push(chunk)) inner.pause();
  });
  inner.once("end", end);
  inner.once("close", end);
  inner.on("error", (error) => outer.destroy(error));
  return outer;
}
