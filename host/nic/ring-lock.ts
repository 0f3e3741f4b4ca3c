/**
 * A lock for the rings that several senders feed, held for one batch at a time. It is a word in
 * shared memory: 0 free, 1 held, 2 held while somebody may sleep on it.
 *
 * A sender spins first, because a batch takes microseconds, and then sleeps in Atomics.wait. A
 * page's main thread may not sleep, so there it goes on spinning. Either way it gives up after
 * PATIENCE_MS: then the holder was killed in mid-batch or is not being run, and dropping frames is
 * what is left to do. Nobody waits for one ring's lock while holding another's.
 */
const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

const SPINS = 2000;
const PATIENCE_MS = 100;
const NAP_MS = 5;

const maySleep = threadMaySleep();

function threadMaySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}

/** Takes the lock at `words[index]`; false when that was not possible in PATIENCE_MS. */
export function lock(words: Int32Array, index: number): boolean {
  return Atomics.compareExchange(words, index, FREE, HELD) === FREE || lockSlowly(words, index);
}

/** Gives the lock back. The last store of the batch, so everything written before is visible. */
export function unlock(words: Int32Array, index: number): void {
  if (Atomics.exchange(words, index, FREE) === CONTENDED) Atomics.notify(words, index, 1);
}

function lockSlowly(words: Int32Array, index: number): boolean {
  for (let i = 0; i < SPINS; i++) {
    if (tryLock(words, index, HELD)) return true;
  }
  const deadline = performance.now() + PATIENCE_MS;
  do {
    if (maySleep) {
      if (Atomics.exchange(words, index, CONTENDED) === FREE) return true;
      Atomics.wait(words, index, CONTENDED, NAP_MS);
    } else {
      for (let i = 0; i < SPINS; i++) {
        if (tryLock(words, index, HELD)) return true;
      }
    }
  } while (performance.now() < deadline);
  return tryLock(words, index, CONTENDED);
}

function tryLock(words: Int32Array, index: number, state: number): boolean {
  return (
    Atomics.load(words, index) === FREE &&
    Atomics.compareExchange(words, index, FREE, state) === FREE
  );
}
