/**
 * Numbers that a stranger cannot tell beforehand, where no cipher is called for: delays, identifications
 * of fragments, where to begin looking for a port (RFC 7739, RFC 6056 section 3.3.1). xorshift64*,
 * seeded with the host's secret, time and core.
 */
import { CFG_CORES, CFG_SECRET, CONFIG_BASE, CORE_ID } from "../abi";
import { config, coreBlock } from "../core/config";
import { nowWide } from "../time/clock";
import { NET_RANDOM, netState } from "./net-state";

@final
@unmanaged
class Random {
  state: u64;
  /** Identifications handed out, and the secret they begin at. */
  identified: u32;
  first: u32;
}

/** 0x2545f4914f6cdd1d, which no number of JavaScript holds. */
const MULTIPLIER: u64 = (u64(0x2545f491) << 32) | 0x4f6cdd1d;

let random = changetype<Random>(0);

/** Binds this instance to the core's generator. */
export function bindRandom(): void {
  random = changetype<Random>(netState(NET_RANDOM));
}

/** Seeds the generator. */
export function prepareRandom(): void {
  const core = load<u32>(coreBlock + CORE_ID);
  random.state = (load<u64>(CONFIG_BASE + CFG_SECRET) ^ (nowWide << 8) ^ (u64(core + 1) << 56)) | 1;
  for (let round = 0; round < 8; round++) draw();
  random.first = load<u32>(CONFIG_BASE + CFG_SECRET, 8);
}

/** 32 bits. */
export function draw(): u32 {
  let x = random.state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  random.state = x;
  return u32((x * MULTIPLIER) >> 32);
}

/** A number below `limit`, which is not 0. */
export function drawBelow(limit: u32): u32 {
  return u32((u64(draw()) * limit) >> 32);
}

/**
 * Identification of the next datagram that is sent in fragments. Cores take turns, so that none is used
 * twice before all have been.
 */
export function nextIdentification(): u32 {
  const turn = random.identified++ * config(CFG_CORES) + load<u32>(coreBlock + CORE_ID);
  return random.first + turn;
}
