/** Settings that a script changes while the stack runs: the few that the kernel reads anew each time. */
import {
  CFG_ECN,
  CFG_ECN_BEACON,
  CFG_ECN_FALLBACK,
  CFG_ECN_OPTION,
  CFG_TCB_ACCECN,
  CFG_TCP_OPTIONS,
  CONFIG_BASE,
  ECN_ACCURATE,
  TCP_OPTION_SACK,
  TCP_OPTION_TIMESTAMPS,
} from "../../../assembly/abi.ts";
import { ECN_MODES, ECN_OPTIONS, type TcpOptions } from "../../../host/dataplane/options.ts";
import { forgetServers } from "../sockets/fast-open.ts";
import type { Settings } from "./settings.ts";
import { applyPreamble } from "./shell.ts";

/** The dataplane's own. */
const DEFAULT_BEACON = 3;

const LIVE = new Set([
  "tcp_fastopen",
  "tcp_fastopen_key",
  "tcp_fastopen_cookies",
  "tcp_timestamps",
  "tcp_sack",
  "tcp_ecn",
  "tcp_ecn_option",
  "tcp_ecn_option_beacon",
  "tcp_ecn_fallback",
]);

/** Applies a command to the settings and the kernel; false when it sets anything else. */
export function applyLive(
  settings: Settings,
  memory: WebAssembly.Memory,
  command: string,
): boolean {
  if (command.startsWith("ip tcp_metrics flush")) {
    forgetServers(memory);
    return true;
  }
  const keys = Array.from(command.matchAll(/([\w./]+)=/g), ([, key]) => key.replace(/.*[./]/, ""));
  if (keys.length === 0 || !keys.every((key) => LIVE.has(key))) return false;
  applyPreamble(settings, command);
  if (keys.includes("tcp_fastopen_cookies")) forgetServers(memory);
  settings.fastOpen.apply(memory);
  const { tcp } = settings;
  const words = new DataView(memory.buffer, CONFIG_BASE);
  const options =
    ((tcp.sack ?? true) ? TCP_OPTION_SACK : 0) |
    ((tcp.timestamps ?? true) ? TCP_OPTION_TIMESTAMPS : 0);
  words.setUint32(CFG_TCP_OPTIONS, options, true);
  return setEcn(words, tcp);
}

/** False when the kernel was not made for accurate ECN. */
function setEcn(words: DataView, tcp: TcpOptions): boolean {
  const mode = ECN_MODES.indexOf(tcp.ecn ?? "accept");
  if (mode >= ECN_ACCURATE && words.getUint32(CFG_TCB_ACCECN, true) === 0) return false;
  words.setUint32(CFG_ECN, mode, true);
  words.setUint32(CFG_ECN_OPTION, ECN_OPTIONS.indexOf(tcp.ecnOption ?? "full"), true);
  words.setUint32(CFG_ECN_BEACON, tcp.ecnBeacon ?? DEFAULT_BEACON, true);
  words.setUint32(CFG_ECN_FALLBACK, (tcp.ecnFallback ?? true) ? 1 : 0, true);
  return true;
}
