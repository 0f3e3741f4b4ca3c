/** What the server does beyond single commands: cuts, time, memory, slow and hostile clients, several cores. */
import { afterEach, describe, expect, it } from "vitest";
import { Random } from "../support/random.ts";
import { kernels } from "../support/kernels.ts";
import { binaryScripts, textScripts } from "./scripts.ts";
import { type Client, EPOCH, request, Setup, type SetupOptions, words } from "./support.ts";

let setup: Setup;

function start(options: SetupOptions = {}): Client {
  setup = new Setup(options);
  return setup.connect();
}

/** Nothing may be left of any connection. */
function finish(...clients: Client[]): void {
  for (const client of clients) client.context.close();
  setup.finish();
}

/** The value of a statistic. */
function statistic(client: Client, name: string): number {
  return Number(new RegExp(`STAT ${name} (\\d+)`).exec(client.ask("stats\r\n", "END\r\n"))![1]);
}

afterEach(() => setup.runner.close());

describe("input in pieces", () => {
  const scripts = [...textScripts, ...binaryScripts].filter(([, script]) => script.length < 9000);

  it.each(scripts)("is answered like input in one: %s", (_, script) => {
    setup = new Setup();
    const expected = setup.exchange(script);
    setup.finish();
    const bytes = Buffer.from(script as string, "latin1");
    const random = new Random(7);
    setup = new Setup();
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = 1 + random.below(bytes.length > 1500 ? 700 : 9);
      pieces.push(bytes.subarray(at, at + length));
      at += length;
    }
    expect(setup.exchange(...pieces)).toBe(expected);
    setup.finish();
  });

  it("may be a byte at a time", () => {
    const client = start();
    for (const byte of "set a 5 0 3\r\none\r\nget a\r\n") {
      client.send(byte);
      setup.wait(100);
    }
    expect(client.received).toBe("STORED\r\nVALUE a 5 3\r\none\r\nEND\r\n");
    finish(client);
  });

  it("may be many commands at once", () => {
    const client = start();
    const rounds = 5000;
    const commands = "set a 0 0 2\r\nhi\r\nget a\r\n".repeat(rounds);
    const answer = "STORED\r\nVALUE a 0 2\r\nhi\r\nEND\r\n".repeat(rounds);
    client.send(commands);
    setup.until(() => client.receivedLength === answer.length);
    expect(client.received).toBe(answer);
    finish(client);
  });

  it("may be lost and repeated on its way", () => {
    const client = start({ link: { loss: 0.05, delay: 100, seed: 3 } });
    const value = "v".repeat(50_000);
    expect(client.ask(`set a 0 0 50000\r\n${value}\r\n`)).toBe("STORED\r\n");
    expect(client.ask("get a\r\n", "END\r\n")).toBe(`VALUE a 0 50000\r\n${value}\r\nEND\r\n`);
    finish(client);
  });
});

describe.each(kernels)("on the $name kernel", ({ name: build }) => {
  it("serves both protocols at the same time", () => {
    const text = start({ build });
    const binary = setup.connect();
    expect(text.ask("set a 3 0 3\r\none\r\n")).toBe("STORED\r\n");
    const answer = binary.ask(request(0, { key: "a" }), "one");
    expect(answer.slice(24)).toBe(`${words(3)}one`);
    finish(text, binary);
  });
});

describe("time", () => {
  const second = 1e6;

  it("ends what has a relative expiry", () => {
    const client = start();
    client.ask("set a 0 2 1\r\nx\r\n");
    setup.wait(second);
    expect(client.ask("get a\r\n", "END\r\n")).toContain("VALUE a");
    setup.wait(2 * second);
    expect(client.ask("get a\r\n", "END\r\n")).toBe("END\r\n");
    expect(statistic(client, "get_expired")).toBe(1);
    expect(statistic(client, "curr_items")).toBe(0);
    finish(client);
  });

  it("ends what has an absolute expiry, and leaves what is touched", () => {
    const client = start();
    client.ask(`set a 0 ${EPOCH + 5} 1\r\nx\r\n`);
    client.ask(`set b 0 ${EPOCH + 5} 1\r\nx\r\n`);
    expect(client.ask("touch b 100\r\n")).toBe("TOUCHED\r\n");
    expect(client.ask("get a b\r\n", "END\r\n")).toContain("VALUE a");
    setup.wait(6 * second);
    expect(client.ask("get a b\r\n", "END\r\n")).toBe("VALUE b 0 1\r\nx\r\nEND\r\n");
    finish(client);
  });

  it("brings a flush that was asked for before", () => {
    const client = start();
    client.ask("set old 0 0 1\r\nx\r\n");
    expect(client.ask("flush_all 3\r\n")).toBe("OK\r\n");
    setup.wait(second);
    client.ask("set late 0 0 1\r\nx\r\n");
    expect(client.ask("get old late\r\n", "END\r\n")).toContain("old");
    setup.wait(3 * second);
    client.ask("set new 0 0 1\r\nx\r\n");
    expect(client.ask("get old late new\r\n", "END\r\n")).toBe("VALUE new 0 1\r\nx\r\nEND\r\n");
    expect(statistic(client, "get_flushed")).toBe(2);
    finish(client);
  });
});

describe("memory", () => {
  const small = { dataplane: { applicationWindow: 8 << 20, sharedWindow: 4 << 20 } };

  function fill(client: Client, from: number, to: number, length: number): void {
    const value = "v".repeat(length);
    for (let i = from; i < to; i++) client.ask(`set key-${i} 0 0 ${length}\r\n${value}\r\n`);
  }

  it("is made by evicting what was longest not used", () => {
    const client = start({ ...small, server: { itemMax: 1 << 18 } });
    fill(client, 0, 30, 100_000);
    setup.wait(2e6);
    expect(client.ask("get key-0\r\n", "END\r\n")).toContain("VALUE");
    fill(client, 30, 50, 100_000);
    expect(client.ask("get key-0\r\n", "END\r\n")).toContain("VALUE key-0");
    expect(client.ask("get key-1\r\n", "END\r\n")).toBe("END\r\n");
    expect(client.ask("get key-49\r\n", "END\r\n")).toContain("VALUE key-49");
    expect(statistic(client, "evictions")).toBeGreaterThanOrEqual(10);
    finish(client);
  });

  it("holds a large value after many small ones", () => {
    const client = start(small);
    fill(client, 0, 3000, 1000);
    const value = "v".repeat(1_000_000);
    expect(client.ask(`set large 0 0 1000000\r\n${value}\r\n`)).toBe("STORED\r\n");
    expect(client.ask("get large\r\n", "END\r\n")).toContain(value);
    finish(client);
  });

  it("of a value that is being sent is not given to another", () => {
    const client = start(small);
    const reader = setup.connect();
    const value = "1".repeat(900_000);
    client.ask(`set a 0 0 900000\r\n${value}\r\n`);
    reader.paused = true;
    reader.send("get a\r\n");
    setup.wait(10_000);
    client.ask("delete a\r\n");
    fill(client, 0, 40, 200_000);
    reader.resume();
    setup.until(() => reader.received.endsWith("END\r\n"));
    expect(reader.received).toBe(`VALUE a 0 900000\r\n${value}\r\nEND\r\n`);
    finish(client, reader);
  });

  it("of a client that reads nothing is bounded", () => {
    const client = start();
    client.ask(`set a 0 0 500000\r\n${"v".repeat(500_000)}\r\n`);
    client.ask(`set b 0 0 900\r\n${"v".repeat(900)}\r\n`);
    const lazy = setup.connect();
    lazy.paused = true;
    lazy.send("get a b b b b\r\n".repeat(2000));
    setup.wait(2e6);
    const written = statistic(client, "bytes_written");
    setup.wait(2e6);
    // It has stopped answering, and goes on when the client reads.
    expect(statistic(client, "bytes_written") - written).toBeLessThan(10_000);
    expect(client.ask("get b\r\n", "END\r\n")).toContain("VALUE b");
    lazy.resume();
    setup.until(() => lazy.receivedLength > 20_000_000);
    lazy.context.abort();
    finish(client);
  });

  it("of values that never come is given back", () => {
    const client = start();
    for (let i = 0; i < 20; i++) {
      const half = setup.connect();
      half.send(`set a 0 0 100000\r\n${"v".repeat(50_000)}`);
      setup.wait(5000);
      half.context.abort();
    }
    setup.wait(10_000);
    expect(client.ask("get a\r\n", "END\r\n")).toBe("END\r\n");
    const value = "v".repeat(1_000_000);
    for (let i = 0; i < 30; i++) {
      expect(client.ask(`set k${i} 0 0 1000000\r\n${value}\r\n`)).toBe("STORED\r\n");
    }
    finish(client);
  });
});

describe("hostile clients", () => {
  it("lose their connection when a line has no end", () => {
    const client = start();
    client.send("x".repeat(100_000));
    setup.until(() => client.ended);
    expect(client.received).toBe("");
    finish(client);
  });

  it("lose their connection when a key has no end", () => {
    const client = start();
    client.send(`get ${"k".repeat(100_000)}`);
    setup.until(() => client.ended);
    finish(client);
  });

  it("get answers to keys without end as they come", () => {
    const client = start();
    client.ask("set a 0 0 1\r\nx\r\n");
    client.forget();
    client.send(`get ${"a ".repeat(20_000)}`);
    setup.until(() => client.receivedLength > 15_000 * 14);
    client.send("a\r\n");
    setup.until(() => client.received.endsWith("END\r\n"));
    expect(client.received).toBe(`${"VALUE a 0 1\r\nx\r\n".repeat(20_001)}END\r\n`);
    finish(client);
  });

  it("cannot break it with scripts that are mutated and cut anywhere", { timeout: 120_000 }, () => {
    const random = new Random(20);
    const scripts = [...textScripts, ...binaryScripts]
      .map(([, script]) => Buffer.from(script as string, "latin1"))
      .filter((script) => script.length < 3000);
    const witness = start({ dataplane: { applicationWindow: 8 << 20, sharedWindow: 4 << 20 } });
    for (let run = 0; run < 400; run++) {
      const script = Buffer.from(scripts[random.below(scripts.length)]);
      for (let i = random.below(6); i >= 0; i--) {
        script[random.below(script.length)] = random.below(256);
      }
      const client = setup.connect();
      for (let at = 0; at < script.length;) {
        const end = at + 1 + random.below(400);
        client.send(script.subarray(at, end));
        setup.wait(50);
        at = end;
      }
      setup.wait(300);
      if (random.below(2) === 0) client.context.close();
      else client.context.abort();
      if (run % 40 === 0) {
        expect(witness.ask("set w 0 0 1\r\n!\r\n")).toBe("STORED\r\n");
        expect(witness.ask("get w\r\n", "END\r\n")).toBe("VALUE w 0 1\r\n!\r\nEND\r\n");
      }
    }
    finish(witness);
  });
});

describe("several cores", () => {
  const cores = { dataplane: { cores: 4, applicationWindow: 64 << 20, sharedWindow: 48 << 20 } };

  it("serve the same keys", () => {
    const first = start(cores);
    const clients = [first, ...Array.from({ length: 15 }, () => setup.connect())];
    clients.forEach((client, i) => client.ask(`set key-${i} 0 0 2\r\n${10 + i}\r\n`));
    const all = clients.map((_, i) => `key-${i}`).join(" ");
    const expected = clients.map((_, i) => `VALUE key-${i} 0 2\r\n${10 + i}\r\n`).join("");
    for (const client of clients) {
      expect(client.ask(`get ${all}\r\n`, "END\r\n")).toBe(`${expected}END\r\n`);
    }
    expect(setup.servers.length).toBe(4);
    expect(statistic(clients[0], "curr_items")).toBe(16);
    expect(statistic(clients[0], "curr_connections")).toBe(16);
    finish(...clients);
  });
});

describe("a server", () => {
  it("says what it has no room for", () => {
    const dataplane = { applicationWindow: 4 << 20, sharedWindow: 1 << 20 };
    expect(() => new Setup({ dataplane })).toThrow(/sharedWindow: memcached needs at least/);
    setup = new Setup();
  });

  it("takes as many connections as it was told", () => {
    const client = start({ server: { connections: 2 } });
    const second = setup.connect();
    const third = setup.connect();
    setup.until(() => third.ended);
    expect(statistic(second, "rejected_connections")).toBe(1);
    finish(client, second);
  });
});
