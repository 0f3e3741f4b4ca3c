/** A dataplane that speaks IPv6 beside IPv4, and who is around it there. */
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import { KERNEL6, PEER, startKernel, type HarnessOptions, type KernelHarness } from "./kernel.ts";
import type { KernelBuild } from "./kernels.ts";
import { linkLocal, type Host } from "./packet.ts";

export const PEER6: Host = { mac: PEER.mac, ip: "2001:db8::2" };
/** The peer by its link-local address. */
export const NEAR: Host = { mac: PEER.mac, ip: linkLocal(PEER.mac) };

/** One address, there at once. */
export const STATIC_IP6: DataplaneOptions["ip6"] = {
  addresses: [`${KERNEL6.ip}/64`],
  autoconfigured: false,
  detectDuplicates: false,
};

/** A harness that knows its neighbours, when what it has to say of itself is said. */
export function startKernel6(build: KernelBuild, options: HarnessOptions = {}): KernelHarness {
  const k = startKernel(build, {
    ip6: STATIC_IP6,
    neighbours: [PEER, PEER6, NEAR],
    ...options,
  });
  k.advance(3_000_000);
  k.sent();
  return k;
}
