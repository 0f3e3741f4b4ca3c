/** Wireshark's opinion of what hosts of a simulated network say to each other, on good links and on bad ones. */
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { LinkOptions } from "../../host/nic/types.ts";
import { type Expected, expectSound, hasTshark, withoutTshark } from "../support/expert.ts";
import { aNetwork, connected, counting, echoServer } from "./support.ts";

const LINKS: readonly (readonly [string, LinkOptions, Expected])[] = [
  ["a good link", { delay: 1000 }, {}],
  [
    "a link that loses, reorders and doubles",
    { delay: 1000, loss: 0.02, reorder: 0.02, duplicate: 0.02, seed: 3 },
    {
      provoked: [/^TCP: This frame is a \(suspected\) out-of-order segment/, /^TCP: D-SACK/],
      // Of what it loses, and of what it doubles when the connection is closed already.
      possible: [
        /^TCP: Previous segment/,
        /^TCP: ACKed segment that wasn't captured/,
        /^TCP: Connection reset/,
      ],
    },
  ],
];

describe.skipIf(!hasTshark)(`tshark${withoutTshark}`, () => {
  it.each(LINKS)("complains of nothing that was not provoked: %s", async (_, link, expected) => {
    const network = aNetwork(["a", "b"], { link, record: { limit: 64 << 20 } });
    await echoServer(network.host("a"));
    for (let i = 0; i < 5; i++) {
      const socket = await connected(network.host("b"), "a");
      const back = counting(socket);
      socket.end(new Uint8Array(100_000));
      await network.run(once(socket, "close"));
      expect(back.received).toBe(100_000);
    }
    expectSound(network.pcapng(), expected);
  });
});
