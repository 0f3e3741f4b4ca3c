/** That the layout read from the kernel's source is the one that the kernel was compiled with. */
import { describe, expect, test } from "vitest";
import { TCB_COLD_SIZE, TCB_HOT_SIZE } from "../../../assembly/abi.ts";
import { KernelHarness, PEER } from "../../support/kernel.ts";
import { kernels } from "../../support/kernels.ts";
import { layoutOf, tcbLayout } from "./tcb-layout.ts";
import { TcbView } from "./tcb.ts";

test("fields are in order and aligned as in C", () => {
  const layout = layoutOf(
    "export class A {\n  /** x: u32; */\n  a: u8;\n  b: u32;\n  c: u16;\n  d: B | null;\n}",
    "A",
  );
  expect([...layout].map(([name, { offset, size }]) => [name, offset, size])).toEqual([
    ["a", 0, 1],
    ["b", 4, 4],
    ["c", 8, 2],
    ["d", 12, 4],
  ]);
});

test("both parts of the control block fit their sizes", () => {
  const end = (fields: Iterable<{ offset: number; size: number }>): number =>
    Math.max(...Array.from(fields, ({ offset, size }) => offset + size));
  expect(end(tcbLayout().hot.values())).toBeLessThanOrEqual(TCB_HOT_SIZE);
  expect(end(tcbLayout().cold.values())).toBeLessThanOrEqual(TCB_COLD_SIZE);
});

describe.each(kernels)("on the $name kernel", (build) => {
  test("a connection's fields are where the layout says", () => {
    const k = new KernelHarness(build);
    const { handle } = k.connect(PEER.ip, 4711, { sourcePort: 40_001 });
    const { memory } = k.dataplane;
    const tcb = TcbView.ofHandle(memory, handle)!;
    expect(tcb.state).toBe("SYN_SENT");
    expect([tcb.localPort, tcb.remotePort]).toEqual([40_001, 4711]);
    expect(tcb.get("rto")).toBe(1_000_000);
    expect((tcb.get("sndNxt")! - tcb.get("sndUna")!) >>> 0).toBe(1);
    expect(tcb.get("no such field")).toBeUndefined();
    expect(TcbView.all(memory)).toHaveLength(1);
    expect(TcbView.ofHandle(memory, handle + (1 << 20))).toBeUndefined();
  });
});
