/**
 * The echo server on the event layer: a handler per connection, no bookkeeping. Writes back no more
 * than there is room for and lets the rest wait where it is, so a peer that does not read its echoes
 * is soon not read from either.
 */
import type { App, AppContext } from "../host/libix/app.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../host/libix/ixev-conditions.ts";
import { IxevContext } from "../host/libix/ixev-context.ts";
import { Ixev } from "../host/libix/ixev.ts";
import type { EchoServerOptions } from "./echo-server.ts";

function echo(connection: IxevContext, conditions: number): void {
  if ((conditions & IXEVHUP) !== 0) return;
  while (connection.available > 0) {
    const length = connection.frontLength;
    const sent = connection.sendMemory(connection.frontAddress, length);
    // Less than all: IXEVOUT calls again. Nothing: the connection is being closed.
    connection.consume(Math.max(sent, 0));
    if (sent < length) return;
  }
  if (connection.ended) connection.close();
}

function serve(): IxevContext {
  const connection = new IxevContext();
  connection.setHandler(IXEVIN | IXEVOUT | IXEVHUP, echo);
  return connection;
}

export default function echoServer({ ix, options }: AppContext): App {
  // A connection from another core is one like any other: what was not echoed there is read here.
  const ixev = new Ixev(ix, { accept: serve, arrived: serve });
  const { ports, backlog } = options as EchoServerOptions;
  for (const port of ports) ixev.listen(port, backlog);
  return ixev;
}
