/**
 * So many blocks of all logs together are decoded in one turn of the event loop: a few milliseconds, however many clients read large logs
 * at once.
 */
const BLOCKS_PER_TURN = 4;

let left = BLOCKS_PER_TURN;
let isNextTurnDue = false;
const waiting: (() => void)[] = [];

/** Resolves when a block may be decoded, in the order of the calls. */
export async function takeLoopShare(): Promise<void> {
  if (!isNextTurnDue) {
    isNextTurnDue = true;
    setImmediate(beginTurn);
  }
  if (left === 0) await new Promise<void>((resolve) => waiting.push(resolve));
  else left -= 1;
}

function beginTurn(): void {
  const served = waiting.splice(0, BLOCKS_PER_TURN);
  left = BLOCKS_PER_TURN - served.length;
  isNextTurnDue = waiting.length > 0;
  if (isNextTurnDue) setImmediate(beginTurn);
  for (const resolve of served) resolve();
}
