/**
 * The dataplane's configuration as this core sees it: words of the configuration block that the
 * packet path needs, read once by `bindConfig` into per-instance globals. A Wasm global is private to
 * its instance even though the memory is shared, so these are the per-core variables of the kernel.
 */
import {
  CFG_BATCH,
  CFG_COPY_BREAK,
  CFG_DELAYED_ACK,
  CFG_FIN_WAIT_2,
  CFG_FRAMES,
  CFG_FRAME_COUNT,
  CFG_IP,
  CFG_MAC,
  CFG_MTU,
  CFG_OFFLOADS,
  CFG_PREFIX,
  CFG_RTO_INITIAL,
  CFG_RTO_MAX,
  CFG_RTO_MIN,
  CFG_TIME_WAIT,
  CFG_TTL,
  CFG_WINDOW,
  CFG_WINDOW_SIZE,
  CFG_CORE_BLOCKS,
  CONFIG_BASE,
  CORE_SIZE,
} from "../abi";

/** Address of this core's control block. */
export let coreBlock: u32 = 0;
export let batchLimit: u32 = 0;
export let offloads: u32 = 0;
export let framesBase: u32 = 0;
export let framesEnd: u32 = 0;
export let windowBase: u32 = 0;
export let windowEnd: u32 = 0;
export let mtu: u32 = 0;
export let ttl: u32 = 0;
/** Own MAC: first four and last two bytes as they lie in memory. */
export let macHead: u32 = 0;
export let macTail: u32 = 0;
/** Own IPv4 address as it lies in memory (network order read little-endian). */
export let localIp: u32 = 0;
export let prefixLength: u32 = 0;
export let rtoMin: u32 = 0;
export let rtoMax: u32 = 0;
export let rtoInitial: u32 = 0;
export let delayedAck: u32 = 0;
export let timeWait: u32 = 0;
export let finWait2: u32 = 0;
export let copyBreak: u32 = 0;

/** A word of the configuration block, for what is read rarely. */
export function config(offset: u32): u32 {
  return load<u32>(CONFIG_BASE + offset);
}

export function bindConfig(core: u32): void {
  coreBlock = config(CFG_CORE_BLOCKS) + core * CORE_SIZE;
  batchLimit = config(CFG_BATCH);
  offloads = config(CFG_OFFLOADS);
  framesBase = config(CFG_FRAMES);
  framesEnd = framesBase + (config(CFG_FRAME_COUNT) << 11);
  windowBase = config(CFG_WINDOW);
  windowEnd = windowBase + config(CFG_WINDOW_SIZE);
  mtu = config(CFG_MTU);
  ttl = config(CFG_TTL);
  macHead = config(CFG_MAC);
  macTail = load<u16>(CONFIG_BASE + CFG_MAC, 4);
  localIp = load<u32>(CONFIG_BASE + CFG_IP, 12);
  prefixLength = config(CFG_PREFIX);
  rtoMin = config(CFG_RTO_MIN);
  rtoMax = config(CFG_RTO_MAX);
  rtoInitial = config(CFG_RTO_INITIAL);
  delayedAck = config(CFG_DELAYED_ACK);
  timeWait = config(CFG_TIME_WAIT);
  finWait2 = config(CFG_FIN_WAIT_2);
  copyBreak = config(CFG_COPY_BREAK);
}
