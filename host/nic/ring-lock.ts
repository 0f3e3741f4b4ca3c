/**
 * A lock for the rings that several senders feed, held for one batch at a time. It is a word in
 * shared memory: 0 when free, else the holder's thread above a bit that somebody may sleep on it.
 *
 *   | holder (30 bits) | contended |
 *
 * A sender spins first, because a batch takes microseconds, and then sleeps in Atomics.wait. A
 * page's main thread may not sleep, so there it goes on spinning. Either way it gives up after
 * PATIENCE_MS, which is more than a busy machine keeps a thread waiting for a processor: then the
 * holder was killed in mid-batch, and dropping frames is what is left to do. Nobody waits for one
 * ring's lock while holding another's.
 *
 * A thread that was killed never gives its locks back; whoever knows that it is gone does so for it
 * (`freeLock`), by the holder in the word.
 */
const FREE = 0;
const CONTENDED = 1;

const HOLDERS = 2 ** 30;

/** What this thread's locks carry: drawn at random, since the threads of a process share no counter. */
export const LOCK_HOLDER = 1 + (crypto.getRandomValues(new Uint32Array(1))[0] % (HOLDERS - 1));
const HELD = LOCK_HOLDER << 1;

const SPINS = 2000;
const PATIENCE_MS = 1000;
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
  const was = Atomics.exchange(words, index, FREE);
  if ((was & CONTENDED) !== 0) Atomics.notify(words, index, 1);
}

/**
 * Gives back a lock that a thread held when it ended: `holder` is that thread's LOCK_HOLDER. True when
 * it did hold it. What it was doing remains undone.
 */
export function freeLock(words: Int32Array, index: number, holder: number): boolean {
  const word = Atomics.load(words, index);
  if (word >> 1 !== holder) return false;
  // Another thread may set the bit of a sleeper meanwhile.
  if (Atomics.compareExchange(words, index, word, FREE) !== word) {
    return freeLock(words, index, holder);
  }
  Atomics.notify(words, index);
  return true;
}

function lockSlowly(words: Int32Array, index: number): boolean {
  for (let i = 0; i < SPINS; i++) {
    if (tryLock(words, index, HELD)) return true;
  }
  const deadline = performance.now() + PATIENCE_MS;
  do {
    if (maySleep) {
      if (lockOrSleep(words, index)) return true;
    } else {
      for (let i = 0; i < SPINS; i++) {
        if (tryLock(words, index, HELD)) return true;
      }
    }
  } while (performance.now() < deadline);
  return tryLock(words, index, HELD | CONTENDED);
}

/** Whoever may have left other sleepers behind takes the lock as contended, to wake them later. */
function lockOrSleep(words: Int32Array, index: number): boolean {
  const word = Atomics.load(words, index);
  if (word === FREE) return tryLock(words, index, HELD | CONTENDED);
  const contended = word | CONTENDED;
  if (Atomics.compareExchange(words, index, word, contended) !== word) return false;
  Atomics.wait(words, index, contended, NAP_MS);
  return false;
}

function tryLock(words: Int32Array, index: number, state: number): boolean {
  return (
    Atomics.load(words, index) === FREE &&
    Atomics.compareExchange(words, index, FREE, state) === FREE
  );
}
