/**
 * The server: sends back what it is sent, after some work for each request. It keeps nothing of its
 * connections, so one that comes from another core, or from one that was lost, is one like any other.
 */
import {
  Ixev,
  IxevContext,
  IXEVHUP,
  IXEVIN,
  IXEVOUT,
  type App,
  type Ix,
} from "../../host/index.ts";
import { SERVER_PORT } from "./addresses.ts";
import { Board } from "./board.ts";

export interface EchoOptions {
  readonly board: SharedArrayBuffer;
  /** Works for so many µs: spends them, or has them charged to the core in virtual time. */
  readonly labour: (core: number, micros: number) => void;
}

/** Half-open connections before SYN cookies are sent. */
const BACKLOG = 64;

export function createEcho(ix: Ix, core: number, options: EchoOptions): App {
  const board = new Board(options.board);
  const echo = (connection: IxevContext, conditions: number): void => {
    if ((conditions & IXEVHUP) !== 0) return;
    const size = board.get("size");
    while (connection.available > 0) {
      const length = connection.frontLength;
      const sent = connection.sendMemory(connection.frontAddress, length);
      // Less than all: IXEVOUT calls again. Nothing: the connection is being closed.
      connection.consume(Math.max(sent, 0));
      if (sent > 0) options.labour(core, (board.get("work") * sent) / size);
      if (sent < length) return;
    }
    if (connection.ended) connection.close();
  };
  const serve = (): IxevContext => {
    const connection = new IxevContext();
    connection.setHandler(IXEVIN | IXEVOUT | IXEVHUP, echo);
    return connection;
  };
  const ixev = new Ixev(ix, { accept: serve, arrived: serve });
  ixev.listen(SERVER_PORT, BACKLOG);
  return ixev;
}
