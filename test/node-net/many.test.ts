/** Very many connections at once: none is refused, lost or starved. */
import { expect, test } from "vitest";
import { connect, createServer } from "../../host/node/net/index.ts";
import type { Socket } from "../../host/node/net/index.ts";
import { aHost, neighbourOf, once } from "./support.ts";

const COUNT = 10_000;

/** Resolves when what was written has come back. */
async function echoed(socket: Socket, text: string): Promise<boolean> {
  socket.write(text);
  const [answer] = await once(socket, "data");
  return String(answer) === text;
}

test.each(["one host", "two hosts"])(
  "ten thousand sockets open at once, each echoing, on %s",
  async (where) => {
    const via = aHost();
    const there = where === "one host" ? via : neighbourOf(via, "there");
    const server = createServer({ via: there }, (socket) => socket.pipe(socket));
    server.listen(80, "", COUNT);
    await once(server, "listening");
    const sockets = Array.from({ length: COUNT }, () =>
      connect({ port: 80, host: there.address, via }),
    );
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    expect(via.dataplane.gauges().connections).toBeGreaterThanOrEqual(COUNT);
    for (const round of ["first", "second"]) {
      const answers = await Promise.all(sockets.map((each, i) => echoed(each, `${round} ${i}`)));
      expect(answers.every(Boolean)).toBe(true);
    }
    for (const socket of sockets) socket.end();
    await Promise.all(sockets.map((socket) => once(socket, "close")));
  },
  120_000,
);
