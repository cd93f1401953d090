/** Like Promise.all of two, but rejects only when both have ended: nothing goes on while the rest is undone. */
export async function together<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}
