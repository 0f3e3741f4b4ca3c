import { describe, expect, it } from "vitest";
import { copyBytes } from "../../host/nic/copy.ts";
import { MemoryView } from "../../host/nic/memory-view.ts";

describe("copyBytes", () => {
  it("copies every length between every two alignments, and zeros up to the end of a word", () => {
    const from = new MemoryView(new SharedArrayBuffer(512));
    const to = new MemoryView(new SharedArrayBuffer(512));
    for (let i = 0; i < 512; i++) from.bytes[i] = (i * 37 + 11) & 0xff;
    for (let source = 64; source < 72; source++) {
      for (let target = 128; target < 136; target++) {
        for (const length of [...Array.from({ length: 70 }, (_, i) => i), 127, 128, 200]) {
          to.bytes.fill(0xee);
          copyBytes(to, target, from, source, length);
          const end = target + length;
          const wordEnd = (end + 3) & ~3;
          for (let i = 0; i < 512; i++) {
            const byte = to.bytes[i];
            if (i >= target && i < end) {
              if (byte !== from.bytes[source + i - target]) expect.fail(`${source} ${target} ${i}`);
            } else if (i >= end && i < wordEnd) {
              if (byte !== 0 && byte !== 0xee) expect.fail(`${source} ${target} ${length} ${i}`);
            } else if (byte !== 0xee) expect.fail(`${source} ${target} ${length}: wrote at ${i}`);
          }
        }
      }
    }
  });
});
