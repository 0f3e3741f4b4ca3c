import { describe, expect, it } from "vitest";
import { Capture, connectPorts, createBackend, PcapngWriter } from "../../host/nic/index.ts";
import type { LinkOptions } from "../../host/nic/index.ts";
import { expectSound, hasTshark, opinionOf, withoutTshark } from "../support/expert.ts";
import { ipFrame, pattern } from "./frames.ts";
import { FakeKernel } from "./kernel.ts";
import { blocks, optionsOf, packets, sink } from "./pcapng-file.ts";

const TCP = { start: 34, offset: 16 };
const IN = 1;
const OUT = 2;

/** Two ports with both directions captured. */
function network(options: LinkOptions = {}, captured: "a" | "b" | "ab" = "ab") {
  const a = new FakeKernel("a");
  const b = new FakeKernel("b");
  const out = sink();
  const ports = { a, b };
  const capture = new Capture(
    Array.from(captured, (name) => ports[name as "a" | "b"].handle),
    out.write,
  );
  const [fromA, fromB] = connectPorts(a.handle, b.handle, options);
  const backends = [
    createBackend(a.handle, 0, fromA, { capture }),
    createBackend(b.handle, 0, fromB, { capture }),
  ];
  return { a, b, capture, backends, out };
}

describe("PcapngWriter", () => {
  it("begins with a section header, then describes interfaces", () => {
    const out = sink();
    const writer = new PcapngWriter(out.write);
    expect(writer.addInterface("eth0", [2, 0, 0, 0, 0, 1])).toBe(0);
    expect(writer.addInterface("a longer name")).toBe(1);
    writer.flush();
    const [section, first, second] = blocks(out.bytes);
    expect(section.type).toBe(0x0a0d0d0a);
    expect(section.body.getUint32(0, true)).toBe(0x1a2b3c4d);
    expect(section.body.getUint16(4, true)).toBe(1);
    expect(first.type).toBe(1);
    expect(first.body.getUint16(0, true)).toBe(1);
    expect(optionsOf(first.body, 8)).toEqual(
      new Map([
        [2, new TextEncoder().encode("eth0")],
        [6, Uint8Array.from([2, 0, 0, 0, 0, 1])],
        [9, Uint8Array.from([6])],
      ]),
    );
    expect(optionsOf(second.body, 8).get(2)).toEqual(new TextEncoder().encode("a longer name"));
  });

  it("writes frames of any length with their time", () => {
    const out = sink();
    const writer = new PcapngWriter(out.write, { epoch: 1.7e15 });
    writer.addInterface("eth0");
    for (let length = 1; length < 40; length++) {
      writer.packet(0, length + 0.5, Uint8Array.from(pattern(100)), 5, length, IN);
    }
    writer.flush();
    packets(out.bytes).forEach((packet, i) => {
      const length = i + 1;
      const bytes = Uint8Array.from(pattern(100)).slice(5, 5 + length);
      expect(packet).toEqual({ port: 0, time: 1.7e15 + length, length, bytes, direction: IN });
    });
  });

  it("keeps no more of a frame than it was told to", () => {
    const out = sink();
    const writer = new PcapngWriter(out.write, { snapLength: 50 });
    writer.addInterface("eth0");
    writer.packet(0, 0, Uint8Array.from(pattern(100)), 0, 100, OUT);
    writer.flush();
    const [packet] = packets(out.bytes);
    expect(packet.length).toBe(100);
    expect(packet.bytes.length).toBe(50);
  });

  it("hands over whole blocks, whenever its buffer is full", () => {
    const chunks: Uint8Array[] = [];
    const writer = new PcapngWriter((chunk) => chunks.push(chunk), { bufferSize: 4096 });
    writer.addInterface("eth0");
    for (let i = 0; i < 20; i++) writer.packet(0, i, new Uint8Array(1514), 0, 1514, IN);
    writer.flush();
    writer.flush();
    expect(chunks.length).toBe(10);
    expect(chunks.flatMap((chunk) => packets(chunk)).length).toBe(20);
  });
});

describe("Capture", () => {
  it("sees both directions at both ends", () => {
    const { a, b, backends, capture, out } = network();
    a.send(ipFrame({ payload: [1] }));
    backends[0].pump(10);
    b.send(ipFrame({ to: [2, 0, 0, 0, 0, 97], from: [2, 0, 0, 0, 0, 98], payload: [2] }));
    backends[1].pump(20);
    capture.flush();
    const seen = packets(out.bytes).map((p) => [p.port, p.direction, p.time, p.bytes[54]]);
    expect(seen).toEqual([
      [0, OUT, 10, 1],
      [1, IN, 10, 1],
      [1, OUT, 20, 2],
      [0, IN, 20, 2],
    ]);
  });

  it("sees one port alone when that is all that is captured", () => {
    for (const [captured, direction] of [
      ["a", OUT],
      ["b", IN],
    ] as const) {
      const { a, backends, capture, out } = network({}, captured);
      a.send(ipFrame());
      backends[0].pump(0);
      capture.flush();
      expect(packets(out.bytes).map((p) => [p.port, p.direction])).toEqual([[0, direction]]);
    }
  });

  it("sees a frame when it is sent and when it arrives, and a lost one only sent", () => {
    const { a, backends, capture, out } = network({ delay: 50, loss: 0.5 });
    for (let i = 0; i < 20; i++) a.send(ipFrame({ payload: [i] }));
    backends[0].pump(100);
    backends[0].pump(150);
    capture.flush();
    const seen = packets(out.bytes);
    const arrived = seen.filter(({ port }) => port === 1);
    expect(seen.filter(({ port }) => port === 0).map(({ time }) => time)).toEqual(
      Array.from({ length: 20 }, () => 100),
    );
    expect(arrived.length).toBe(20 - a.counters.queues[0].linkLost);
    for (const { time } of arrived) expect(time).toBe(150);
  });

  it("sees checksums filled in, and changes neither frame nor verdict", () => {
    const options = { payload: pattern(77) };
    for (const captured of ["a", "b", "ab"] as const) {
      const { a, b, backends, capture, out } = network({}, captured);
      const address = a.send(ipFrame({ ...options, checksum: "pseudo" }), { checksum: TCP });
      backends[0].pump(0);
      capture.flush();
      for (const { bytes } of packets(out.bytes)) expect(bytes).toEqual(ipFrame(options));
      expect(b.receive()[0].flags).toBe(3);
      expect(a.bytes.slice(address + 50, address + 52)).toEqual(
        ipFrame({ ...options, checksum: "pseudo" }).slice(50, 52),
      );
      expect(a.completions()).toEqual([address]);
    }
  });

  it("does not see what was dropped on arrival", () => {
    const { a, backends, capture, out } = network({}, "b");
    a.send(ipFrame({ to: [2, 0, 0, 0, 0, 1] }));
    backends[0].pump(0);
    capture.flush();
    expect(packets(out.bytes)).toEqual([]);
  });

  it("whose sink throws loses frames, and blocks nothing", () => {
    const a = new FakeKernel("a");
    const b = new FakeKernel("b");
    let broken = true;
    const write = () => {
      if (broken) throw new Error("disk full");
    };
    const capture = new Capture([b.handle], write, { bufferSize: 1024 });
    const [fromA] = connectPorts(a.handle, b.handle);
    const backend = createBackend(a.handle, 0, fromA, { capture });
    for (let i = 0; i < 20; i++) a.send(ipFrame({ payload: pattern(500) }));
    expect(() => backend.pump(0)).toThrow("disk full");
    broken = false;
    a.send(ipFrame({ payload: [7] }));
    expect(backend.pump(1)).toBe(1);
    expect(b.receive().map(({ bytes }) => bytes[54])).toEqual([7]);
    expect(a.completions().length).toBe(21);
  });

  it("is flushed when a backend is closed", () => {
    const { a, backends, out } = network();
    a.send(ipFrame());
    backends[0].pump(0);
    backends[0].close!();
    expect(packets(out.bytes).length).toBe(2);
  });
});

describe.skipIf(!hasTshark)(`tshark${withoutTshark}`, () => {
  it("reads a capture and finds nothing wrong with it", () => {
    const { a, b, backends, capture, out } = network({ delay: 10 });
    for (let i = 0; i < 20; i++) {
      const payload = pattern(i * 70);
      a.send(ipFrame({ payload, checksum: "pseudo" }), { checksum: TCP });
      b.send(ipFrame({ to: [2, 0, 0, 0, 0, 97], protocol: 17, payload }));
      for (const backend of backends) backend.pump(i * 100);
    }
    for (const backend of backends) backend.pump(1e6);
    capture.flush();
    // Every segment has the same sequence number.
    expectSound(out.bytes, { provoked: [/^TCP: This frame is a \(suspected\) out-of-order/] });
    for (const name of ["a", "b"]) {
      expect(opinionOf(out.bytes, `frame.interface_name == "${name}"`).packets).toBe(40);
    }
  });
});
