/** Routes that change while the cores run. */
import { describe, expect, test } from "vitest";
import { CORE_ATTACHED, CORE_PARKED } from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { GATEWAY, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";

/** MAC address of the next hop of a datagram to `ip`; undefined when none went out. */
function hopTo(k: KernelHarness, ip: string): string | undefined {
  const { handle } = k.udpBind(0);
  k.udpSend(handle, text("x"), { ip, port: 9 });
  k.udpUnbind(handle);
  return k.sent().at(-1)?.ethernet.destination;
}

describe.each(kernels)("$name kernel", (build) => {
  test("a route takes effect at once, changes its gateway, and goes", () => {
    const k = startKernel(build);
    const { dataplane } = k;
    expect(hopTo(k, "10.9.1.1")).toBeUndefined();
    dataplane.addRoute({ to: "10.9.0.0/16", via: GATEWAY.ip });
    expect(hopTo(k, "10.9.1.1")).toBe(GATEWAY.mac);
    dataplane.addRoute({ to: "10.9.0.0/16", via: PEER.ip });
    expect(hopTo(k, "10.9.1.1")).toBe(PEER.mac);
    dataplane.removeRoute("10.9.0.0/16");
    expect(hopTo(k, "10.9.1.1")).toBeUndefined();
  });

  test("the longest prefix wins, in whatever order they come and go", () => {
    const k = startKernel(build);
    const { dataplane } = k;
    dataplane.addRoute({ to: "10.8.0.0/16", via: GATEWAY.ip });
    dataplane.addRoute({ to: "10.8.1.0/24", via: PEER.ip });
    dataplane.addRoute({ to: "0.0.0.0/0", via: PEER.ip });
    dataplane.addRoute({ to: "10.8.1.7/32", via: GATEWAY.ip });
    const hops = (): unknown[] =>
      ["10.8.2.2", "10.8.1.2", "10.8.1.7", "192.0.2.1"].map((ip) => hopTo(k, ip));
    expect(hops()).toEqual([GATEWAY.mac, PEER.mac, GATEWAY.mac, PEER.mac]);
    dataplane.removeRoute("10.8.1.0/24");
    expect(hops()).toEqual([GATEWAY.mac, GATEWAY.mac, GATEWAY.mac, PEER.mac]);
    dataplane.removeRoute("0.0.0.0/0");
    expect(hops()).toEqual([GATEWAY.mac, GATEWAY.mac, GATEWAY.mac, undefined]);
  });

  test("what was removed is used again only when every core has moved on", () => {
    const first = startKernel(build, { cores: 2, tables: { routes: 2 } });
    const second = startKernel(build, { sibling: { of: first, core: 1 } });
    const { dataplane } = first;
    const add = (to: string) => (): void => dataplane.addRoute({ to, via: GATEWAY.ip });
    add("10.1.0.0/16")();
    add("10.2.0.0/16")();
    expect(add("10.3.0.0/16")).toThrow(/ENOMEM/);
    dataplane.removeRoute("10.1.0.0/16");
    expect(add("10.3.0.0/16")).toThrow(/EAGAIN/);
    first.poll();
    expect(add("10.3.0.0/16")).toThrow(/EAGAIN/);
    second.poll();
    add("10.3.0.0/16")();
    expect(hopTo(first, "10.3.0.1")).toBe(GATEWAY.mac);
  });

  test("cores that sleep or never ran are not waited for", () => {
    const k = startKernel(build, { cores: 3, tables: { routes: 1 } });
    const second = startKernel(build, { sibling: { of: k, core: 1 } });
    const { dataplane } = k;
    dataplane.addRoute({ to: "10.1.0.0/16", via: GATEWAY.ip });
    dataplane.removeRoute("10.1.0.0/16");
    second.setWord(CORE_PARKED, 1);
    expect(dataplane.cores[2].block).toBeGreaterThan(0);
    expect(second.word(CORE_ATTACHED)).not.toBe(0);
    k.poll();
    dataplane.addRoute({ to: "10.2.0.0/16", via: GATEWAY.ip });
    second.setWord(CORE_PARKED, 0);
    expect(hopTo(k, "10.2.0.1")).toBe(GATEWAY.mac);
  });

  test("what is no route is refused, and so is removing what there is not", () => {
    const { dataplane } = startKernel(build);
    expect(() => dataplane.removeRoute("10.1.0.0/16")).toThrow(/EINVAL/);
    expect(() => dataplane.removeRoute("10.1.0.1/16")).toThrow(RangeError);
    expect(() => dataplane.addRoute({ to: "10.1.0.0/16", via: "192.0.2.1" })).toThrow(RangeError);
    expect(() => dataplane.addRoute({ to: "10.1.0.0/16" } as never)).toThrow(TypeError);
  });

  test("many come and go, and none is lost", () => {
    const k = startKernel(build, { tables: { routes: 8 } });
    for (let round = 0; round < 40; round++) {
      k.dataplane.addRoute({ to: `10.${round + 10}.0.0/16`, via: GATEWAY.ip });
      expect(hopTo(k, `10.${round + 10}.0.1`)).toBe(GATEWAY.mac);
      if (round >= 4) {
        k.dataplane.removeRoute(`10.${round + 6}.0.0/16`);
        expect(hopTo(k, `10.${round + 6}.0.1`)).toBeUndefined();
      }
    }
  });
});
