/**
 * Where the kernel keeps its state of a core: records in the core's control block, behind what abi.ts
 * places there. An instance only binds to them, so that another instance, of this or a newer kernel, can
 * take a core over as it stands: in place of a parked one, at an upgrade, or from a thread that died.
 *
 * Each module declares the record that is its own and points to it when it is bound. What remains in
 * globals follows from the configuration, or passes between functions within one call.
 */
import { CORE_IN_PROGRESS, CORE_PHASE, PHASE_KERNEL, PHASE_OUTSIDE } from "../abi";
import { coreBlock } from "./config";

// Offsets in the control block. What every batch touches comes first and close together.
const STATE: u32 = 5120;
export const STATE_BUFFERS: u32 = 5120;
export const STATE_TCBS: u32 = 5152;
export const STATE_WHEEL: u32 = 5168;
export const STATE_LISTS: u32 = 5184;
export const STATE_ENDS: u32 = 5200;
export const STATE_EMIT: u32 = 5216;
export const STATE_RINGS: u32 = 5220;
export const STATE_RECEIVE: u32 = 5224;
export const STATE_PORTS: u32 = 5228;
export const STATE_UDP_SENT: u32 = 5232;
export const STATE_UDP: u32 = 5240;
export const STATE_PENDING: u32 = 5248;
export const STATE_ICMP: u32 = 5252;
export const STATE_USER_TIMERS: u32 = 5264;
export const STATE_CHALLENGES: u32 = 5280;
export const STATE_DEPARTURE: u32 = 5312;
export const STATE_STOCK: u32 = 5368;
export const STATE_ARRIVAL: u32 = 5376;
/** A Fast Open cookie that is being sent. */
export const STATE_COOKIE: u32 = 6080;
/** Endpoint records of the `arrived` events of one poll. */
export const STATE_ENDPOINTS: u32 = 6144;
const STATE_END: u32 = 8192;

/** Empties all records of this core; whoever needs more than zeroes prepares that itself. */
export function clearState(): void {
  memory.fill(coreBlock + STATE, 0, STATE_END - STATE);
}

/** Says that this thread is in the kernel, and may leave something half done if it dies. */
export function enterKernel(): void {
  store<u32>(coreBlock + CORE_PHASE, PHASE_KERNEL);
}

export function leaveKernel(): void {
  store<u32>(coreBlock + CORE_PHASE, PHASE_OUTSIDE);
}

/**
 * Says which connection is about to be changed, by its address, or 0 when none is any more: should this
 * thread die now, whoever takes the core over must not trust that one.
 */
export function markInProgress(connection: u32): void {
  store<u32>(coreBlock + CORE_IN_PROGRESS, connection);
}
