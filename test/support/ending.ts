/** The end of a test of the kernel: everything is closed, time passes, and nothing may be held any more. */
import {
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_FILL,
  GAUGE_NEIGHBOUR_PENDING,
  GAUGE_TIME_WAIT,
  GAUGE_TIMERS,
  RC_OK,
} from "../../assembly/abi.ts";
import type { KernelHarness } from "./kernel.ts";

/**
 * Ends everything that is still alive, lets TIME-WAIT and whatever else run out, and closes the dataplane.
 *
 * @throws {Error} the kernel, or the NIC, still holds something
 */
export function endAll(k: KernelHarness): void {
  k.nic.stalled = false;
  k.nic.holdCompletions = false;
  k.nic.complete();
  k.contract.checkHeld();
  const { connections, listeners, udpPorts, timers } = k.contract;
  for (const listener of listeners) mustSucceed(k, "unlisten", k.unlisten(listener));
  for (const [handle, held] of udpPorts) {
    for (const token of held.keys()) {
      mustSucceed(k, "udp_recv_done", k.udpRecvDone(handle, token));
    }
    mustSucceed(k, "udp_unbind", k.udpUnbind(handle));
  }
  for (const timer of timers) mustSucceed(k, "timer_cancel", k.timerCancel(timer));
  for (const handle of connections.keys()) mustSucceed(k, "abort", k.abort(handle));
  // Half-open connections and TIME-WAIT end by time alone; ARP gives up after 3 s.
  k.advance(5_000_000);
  for (let minutes = 0; minutes < 20 && inUse(k).length > 0; minutes++) {
    k.advance(60_000_000);
  }
  const left = inUse(k);
  if (left.length > 0) throw new Error(`leak: ${left.join(", ")}\n${k.log()}`);
  const fill = k.gauge(GAUGE_FILL);
  const held = k.nics.reduce((sum, nic) => sum + nic.held, 0);
  if (fill !== held) {
    throw new Error(`GAUGE_FILL is ${fill}, the NIC holds ${held}\n${k.log()}`);
  }
  if (k.dataplane.cores.length === 1) k.dataplane.assertNoLeaks();
  k.dataplane.close();
}

function inUse(k: KernelHarness): string[] {
  const gauges = {
    buffers: GAUGE_BUFFERS,
    connections: GAUGE_CONNECTIONS,
    timers: GAUGE_TIMERS,
    "neighbour pending": GAUGE_NEIGHBOUR_PENDING,
    "time-wait": GAUGE_TIME_WAIT,
  };
  return Object.entries(gauges)
    .map(([name, offset]) => [name, k.gauge(offset)] as const)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name} ${value}`);
}

function mustSucceed(k: KernelHarness, call: string, result: number): void {
  if (result !== RC_OK) throw new Error(`finish: ${call} said ${result}\n${k.log()}`);
}
