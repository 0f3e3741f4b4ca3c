/** A memcached server and clients of it, on two dataplanes in virtual time. */
import memcached from "../../examples/memcached/app.ts";
import type { MemcachedOptions } from "../../examples/memcached/options.ts";
import type { Server } from "../../examples/memcached/server.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import { connectPorts, createDataplane, loadKernelSync } from "../../host/node/index.ts";
import type { KernelBuild } from "../../host/node/index.ts";

export interface SetupOptions {
  readonly server?: MemcachedOptions;
  readonly dataplane?: Partial<DataplaneOptions>;
  readonly link?: LinkOptions;
  readonly build?: KernelBuild;
}

/** Unix time at which the tests' clocks are at 0, s. */
export const EPOCH = 1_700_000_000;

const PORT = 11211;
/** Longest time that anything may take, virtual µs. */
const PATIENCE = 60e6;

export class Setup {
  readonly runner = new InlineRunner();
  readonly dataplane: Dataplane;
  readonly #client: Dataplane;
  readonly servers: Server[] = [];
  #ixev!: Ixev;

  constructor({ server, dataplane, link, build = "release" }: SetupOptions = {}) {
    const kernel = loadKernelSync(build);
    const tcp = { profile: "lan" as const };
    this.dataplane = createDataplane({
      kernel,
      ip: "10.0.0.1/24",
      applicationWindow: 32 << 20,
      sharedWindow: 24 << 20,
      ...dataplane,
      tcp: { ...tcp, ...dataplane?.tcp },
    });
    this.#client = createDataplane({ kernel, ip: "10.0.0.2/24", applicationWindow: 16 << 20, tcp });
    const [there, back] = connectPorts(this.dataplane.port, this.#client.port, link);
    const options = { epoch: EPOCH, ...server };
    this.runner.add(this.dataplane, {
      wire: there,
      app: (context) => {
        const app = memcached({ ...context, options });
        this.servers.push(app as Server);
        return app;
      },
    });
    this.runner.add(this.#client, {
      wire: back,
      app: ({ ix }) => (this.#ixev = new Ixev(ix)),
    });
    this.wait(1000);
  }

  connect(): Client {
    const client = new Client(this);
    this.#ixev.dial(client.context, "10.0.0.1", PORT);
    this.until(() => client.context.isOpen);
    return client;
  }

  /** What the server answers to a connection's bytes, sent in pieces, until it closes the connection. */
  exchange(...pieces: Bytes[]): string {
    const client = this.connect();
    for (const piece of pieces) {
      client.send(piece);
      this.wait(200);
    }
    this.until(() => client.ended);
    client.context.close();
    return client.received;
  }

  wait(micros: number): void {
    this.runner.run({ forMicros: micros });
  }

  until(condition: () => boolean): void {
    if (!this.runner.run({ until: condition, forMicros: PATIENCE })) {
      throw new Error("it did not come to pass within a minute");
    }
  }

  /** Ends all connections and demands that nothing of them is left. */
  finish(): void {
    this.wait(20e6);
    this.dataplane.assertNoLeaks();
    this.#client.assertNoLeaks();
    this.runner.close();
  }
}

export type Bytes = string | Uint8Array;

export class Client {
  readonly context = new IxevContext();
  ended = false;
  /** Does not read what comes. */
  paused = false;
  readonly #setup: Setup;
  readonly #parts: Uint8Array[] = [];
  #unsent: Uint8Array = new Uint8Array(0);

  constructor(setup: Setup) {
    this.#setup = setup;
    this.context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, (_, conditions) => {
      this.#write();
      if (!this.paused) this.#read();
      if ((conditions & IXEVHUP) !== 0 || this.context.ended) this.ended = true;
    });
  }

  /** Everything that has come, a character a byte. */
  get received(): string {
    return Buffer.concat(this.#parts).toString("latin1");
  }

  get receivedLength(): number {
    return this.#parts.reduce((sum, part) => sum + part.length, 0);
  }

  forget(): void {
    this.#parts.length = 0;
  }

  resume(): void {
    this.paused = false;
    this.context.enable(IXEVIN);
  }

  send(bytes: Bytes): void {
    const more = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    this.#unsent = Buffer.concat([this.#unsent, more]);
    this.#write();
  }

  /** Sends, and returns what has come by the time that it ends with `end`. */
  ask(bytes: Bytes, end = "\r\n"): string {
    this.forget();
    this.send(bytes);
    this.#setup.until(() => this.ended || this.received.endsWith(end));
    return this.received;
  }

  #write(): void {
    if (this.#unsent.length === 0) return;
    const sent = this.context.send(this.#unsent);
    this.#unsent = sent < 0 ? new Uint8Array(0) : this.#unsent.subarray(sent);
  }

  #read(): void {
    const bytes = new Uint8Array(this.context.available);
    this.#parts.push(bytes.subarray(0, Math.max(this.context.recv(bytes), 0)));
  }
}

/** A binary request. */
export function request(
  opcode: number,
  { key = "", value = "", extras = "", cas = [0, 0], opaque = 0, magic = 0x80 }: RequestParts = {},
): Buffer {
  const header = Buffer.alloc(24);
  header[0] = magic;
  header[1] = opcode;
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt32BE(extras.length + key.length + value.length, 8);
  header.writeUInt32BE(opaque, 12);
  header.writeUInt32BE(cas[0], 16);
  header.writeUInt32BE(cas[1], 20);
  return Buffer.concat([header, Buffer.from(extras + key + value, "latin1")]);
}

export interface RequestParts {
  readonly key?: string;
  readonly value?: string;
  readonly extras?: string;
  readonly cas?: readonly [high: number, low: number];
  readonly opaque?: number;
  readonly magic?: number;
}

/** Numbers of 32 bits, big-endian, as extras. */
export function words(...values: number[]): string {
  return values
    .map((value) =>
      String.fromCharCode(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255),
    )
    .join("");
}
