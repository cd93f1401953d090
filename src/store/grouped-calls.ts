/**
 * Group commit for a call whose one run serves everybody who asked before it began: callers that come while one is under way share the
 * next. A run begins only after the current turn of the event loop, so that callers of one turn share it.
 */
export function groupedCalls(call: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = async (): Promise<void> => {
    await running?.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    const current = call();
    running = current;
    next = undefined;
    try {
      await current;
    } finally {
      if (running === current) running = undefined;
    }
  };
  return () => (next ??= begin());
}
