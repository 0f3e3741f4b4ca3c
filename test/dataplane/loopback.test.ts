/** A dataplane that talks to itself: through its own NIC, whatever the wire is like. */
import { describe, expect, it } from "vitest";
import { RC_OK } from "../../assembly/abi.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { App, AppContext } from "../../host/libix/app.ts";
import { IXEVHUP, IXEVIN } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { CLIENT_IP, ECHO_PORT, SERVER_IP, smallDataplane } from "./support.ts";

/** Listens on every core, and dials itself from core 0; closes when all came back. */
function selfTalker(message: Uint8Array, received: number[], ends: number[]) {
  return ({ ix, core }: AppContext): App => {
    const bytes = new Uint8Array(1000);
    const read = (context: IxevContext, take: (part: Uint8Array) => void): void => {
      for (let length = context.recv(bytes); length > 0; length = context.recv(bytes)) {
        take(bytes.slice(0, length));
      }
    };
    const ixev = new Ixev(ix, {
      accept: () => {
        const context = new IxevContext();
        context.setHandler(IXEVIN, () => {
          read(context, (part) => context.send(part));
          if (context.ended) context.close();
        });
        return context;
      },
      dialed: (context, outcome) => {
        expect(outcome).toBe(RC_OK);
        context.send(message);
      },
      released: (context) => ends.push(context.reason),
    });
    ixev.listen(ECHO_PORT);
    if (core !== 0) return ixev;
    const client = new IxevContext();
    client.setHandler(IXEVIN | IXEVHUP, () => {
      read(client, (part) => received.push(...part));
      if (received.length === message.length) client.close();
    });
    ixev.setTimer(100, () => ixev.dial(client, SERVER_IP, ECHO_PORT));
    return ixev;
  };
}

describe("a dataplane that dials itself", () => {
  const cases: [string, number, LinkOptions][] = [
    ["on one core", 1, {}],
    ["on several cores", 4, {}],
    ["while the cable is cut", 2, { loss: 1 }],
  ];
  it.each(cases)("%s", (_, cores, link) => {
    const message = Uint8Array.from({ length: 5000 }, (_, i) => i * 7);
    const options = { cores, applicationWindow: cores << 19, maxConnections: 256 };
    const dataplane = smallDataplane(SERVER_IP, options);
    const other = smallDataplane(CLIENT_IP);
    const [wire] = connectPorts(dataplane.port, other.port, link);
    const runner = new InlineRunner();
    const received: number[] = [];
    const ends: number[] = [];
    runner.add(dataplane, { wire, app: selfTalker(message, received, ends) });
    expect(runner.run({ until: () => ends.length === 2, forMicros: 10e6 })).toBe(true);
    expect(Uint8Array.from(received)).toEqual(message);
    expect(ends).toEqual([RC_OK, RC_OK]);
    runner.run();
    dataplane.assertNoLeaks();
    expect(dataplane.counters().tcpRetransmits).toBe(0);
  });
});
