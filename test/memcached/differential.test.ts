/** The same commands to the server here and to memcached itself: the answers are the same, byte for byte. */
import { describe, expect, it } from "vitest";
import { memcachedUnavailable, RealMemcached } from "./real.ts";
import { binaryScripts, textScripts } from "./scripts.ts";
import { type Bytes, Setup } from "./support.ts";

const unavailable = memcachedUnavailable();
const skipped = unavailable ? ` (skipped: ${unavailable})` : "";

describe.skipIf(unavailable)(`compared with memcached, the server${skipped}`, () => {
  it.each(textScripts)("in text %s", (_, script) => compare(script));
  it.each(binaryScripts)("in binary %s", (_, script) => compare(script));

  async function compare(script: Bytes): Promise<void> {
    // A server of its own for each: CAS uniques are counted from its start.
    const real = await RealMemcached.start();
    try {
      const setup = new Setup();
      expect(setup.exchange(script)).toBe(await real.exchange(script));
      setup.finish();
    } finally {
      await real.stop();
    }
  }
});
