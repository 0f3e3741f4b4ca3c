/**
 * A memcached server on one core of a dataplane: the text and the binary protocol on one port, as memcached
 * has them (its doc/protocol.txt and doc/protocol-binary.txt). All cores of a dataplane serve the same items.
 */
import { CFG_CORES, CONFIG_BASE } from "../../assembly/abi.ts";
import type { App } from "../../host/libix/app.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import type { IxevContext } from "../../host/libix/ixev-context.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { BinaryProtocol } from "./binary.ts";
import { Connection } from "./connection.ts";
import { CURR_CONNECTIONS, REJECTED_CONNECTIONS, TOTAL_CONNECTIONS } from "./counters.ts";
import type { MemcachedOptions } from "./options.ts";
import { Output } from "./output.ts";
import { Store } from "./store.ts";
import { TextProtocol } from "./text.ts";

export class Server implements App {
  readonly ix: Ix;
  readonly ixev: Ixev;
  readonly store: Store;
  readonly output: Output;
  readonly text: TextProtocol;
  readonly binary: BinaryProtocol;
  readonly options: Required<MemcachedOptions>;
  /** Connections may go to other cores. */
  readonly mayMove: boolean;
  /** Seconds since the epoch when it started. */
  startedAt = 0;
  #connections = 0;

  constructor(ix: Ix, options: MemcachedOptions = {}) {
    const { port = 11211, backlog = 1024, connections = 65536 } = options;
    const { itemMax = 1 << 20, epoch = 0 } = options;
    if (!(itemMax >= 1024 && itemMax <= 128 << 20)) {
      throw new RangeError(`itemMax must be from 1024 to ${128 << 20} bytes, not ${itemMax}`);
    }
    this.options = { port, backlog, connections, itemMax, epoch };
    this.ix = ix;
    this.mayMove = ix.words[(CONFIG_BASE + CFG_CORES) >>> 2] > 1;
    this.store = new Store(ix, itemMax);
    // A core that starts anew has none of the connections that it may have had.
    this.store.coreCounters[CURR_CONNECTIONS] = 0;
    this.output = new Output(ix);
    this.text = new TextProtocol(this);
    this.binary = new BinaryProtocol(this);
    this.ixev = new Ixev(ix, {
      accept: () => this.#admit(new Connection(this)),
      arrived: ({ tag }) => this.#admit(Connection.arrived(this, tag)),
      left: (context) => this.#over(context),
      released: (context) => this.#over(context),
    });
    this.ixev.listen(port, backlog);
  }

  handle(ix: Ix, now: number): void {
    const seconds = Math.max(Math.floor(now / 1e6) + this.options.epoch, 1);
    if (seconds !== this.store.now) {
      this.store.now = seconds;
      if (this.startedAt === 0) this.startedAt = seconds;
    }
    this.ixev.handle(ix, now);
  }

  #admit(connection: Connection | null): IxevContext | null {
    if (connection === null || this.#connections >= this.options.connections) {
      this.store.count(REJECTED_CONNECTIONS);
      return null;
    }
    this.#connections++;
    this.store.count(CURR_CONNECTIONS);
    this.store.count(TOTAL_CONNECTIONS);
    return connection.context;
  }

  #over(context: IxevContext): void {
    (context.data as Connection).release();
    this.#connections--;
    this.store.count(CURR_CONNECTIONS, -1);
  }
}
