/** The emulated NIC: ports, links, a switch, capture, and the engine that moves frames. */
export { createBackend } from "./backend.ts";
export type { BackendOptions } from "./backend.ts";
export { Capture, type DropPlace, type FrameObserver } from "./capture.ts";
export {
  CAPTURE_CONTROL_SIZE,
  CAPTURE_ON,
  CAPTURE_SNAP,
  CaptureRingWriter,
  type CapturedFrame,
  type CaptureRingHandle,
} from "./capture-ring.ts";
export { CaptureRings } from "./capture-rings.ts";
export type { FilterTuple } from "./filters.ts";
export { LiveCapture } from "./live-capture.ts";
export { PcapngWriter, INBOUND, OUTBOUND } from "./pcapng.ts";
export type { PcapngOptions } from "./pcapng.ts";
export { createPort, Port } from "./port.ts";
export type { PortCounters, PortOptions } from "./port.ts";
export { Random } from "./random.ts";
export { hashIpv4, hashIpv6, toeplitz, TOEPLITZ_KEY, toeplitzTables } from "./rss.ts";
export type { LinkOptions, PortHandle, QueueBackend, SwitchWire, Wire } from "./types.ts";
export { connectPorts, createSwitch, Switch } from "./wiring.ts";
