/**
 * The lock of a partition: a word of shared memory, 0 while it is free, else the core that holds it plus
 * one. It is held for the time of one lookup or one store, so who has to wait spins. A holder that does not
 * come back (its thread was ended in between) leaves its partition in an unknown state: after PATIENCE_MS
 * the word is marked, and from then on nobody waits for it; should the holder come back, it clears the mark.
 */
const FREE = 0;
const DOUBTED = 1 << 30;
const SPINS = 1000;
const PATIENCE_MS = 50;

/** Takes the lock at `words[index]`; false when its holder is taken for lost. */
export function lock(words: Int32Array, index: number, core: number): boolean {
  return Atomics.compareExchange(words, index, FREE, core + 1) === FREE || wait(words, index, core);
}

export function unlock(words: Int32Array, index: number): void {
  Atomics.store(words, index, FREE);
}

function wait(words: Int32Array, index: number, core: number): boolean {
  const deadline = performance.now() + PATIENCE_MS;
  do {
    for (let spin = 0; spin < SPINS; spin++) {
      const word = Atomics.load(words, index);
      if ((word & DOUBTED) !== 0) return false;
      if (word === FREE && Atomics.compareExchange(words, index, FREE, core + 1) === FREE) {
        return true;
      }
    }
  } while (performance.now() < deadline);
  const word = Atomics.load(words, index);
  if (word !== FREE) Atomics.compareExchange(words, index, word, word | DOUBTED);
  return false;
}
