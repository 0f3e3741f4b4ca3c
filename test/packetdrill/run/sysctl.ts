/**
 * Kernel variables that scripts set, as options of the dataplane. Each key says which values the stack
 * stands for; another value, or a key that is not here, makes the script unsupported.
 */
import { ECN_OPTIONS, type TcpOptions } from "../../../host/dataplane/options.ts";
import { Unsupported } from "../language/errors.ts";
import type { Settings } from "./settings.ts";

type Apply = (settings: Settings, values: readonly number[], text: string) => boolean | void;

const MILLISECOND = 1000;
const SECOND = 1_000_000;

/** Nothing to do: it changes nothing that this stack has, or nothing a script can see. */
const ignore: Apply = () => true;

/** Only these values are what the stack does. */
function only(...allowed: readonly string[]): Apply {
  return (_settings, _values, text) => allowed.includes(text);
}

/** Kinds of ECN by Linux' numbers; FreeBSD has the first three. */
const ECN = [
  "off",
  "on",
  "accept",
  "accurate",
  "accurate-ask-classic",
  "accurate-accept",
] as const satisfies readonly TcpOptions["ecn"][];

function setEcn(modes: readonly TcpOptions["ecn"][]): Apply {
  return (settings, [mode]) => {
    if (modes[mode] === undefined) return false;
    settings.tcp.ecn = modes[mode];
    return true;
  };
}

/** Congestion control by Linux' names. */
const CONGESTION: Readonly<Record<string, TcpOptions["congestionControl"]>> = {
  cubic: "cubic",
  reno: "newreno",
  bbr: "bbr",
};

const LINUX: Readonly<Record<string, Apply>> = {
  tcp_rmem: (settings, [, initial, most]) => {
    // Linux keeps half of it for its own bookkeeping.
    settings.tcp.receiveWindow = Math.max(Math.floor(initial / 2), 4096);
    settings.tcp.receiveWindowMax = Math.max(most, settings.tcp.receiveWindow);
  },
  tcp_wmem: (settings, [, initial, most]) => {
    settings.sendBuffer = initial >= 262_144 ? most : initial;
  },
  tcp_syn_retries: (settings, [count]) => {
    settings.tcp.synRetries = count;
  },
  tcp_syn_linear_timeouts: (settings, [count]) => {
    settings.tcp.synLinearRetries = count;
  },
  tcp_synack_retries: ignore,
  tcp_retries2: (settings, [count]) => {
    settings.tcp.dataRetries = count;
  },
  tcp_fin_timeout: (settings, [seconds]) => {
    settings.tcp.finWait2 = seconds * SECOND;
  },
  tcp_rto_max_ms: (settings, [millis]) => {
    settings.tcp.maxRto = millis * MILLISECOND;
  },
  tcp_rto_min_us: (settings, [micros]) => {
    settings.tcp.minRto = micros;
  },
  tcp_reordering: only("3"),
  tcp_early_retrans: only("3", "4"),
  tcp_recovery: only("1"),
  tcp_slow_start_after_idle: only("0", "1"),
  tcp_mtu_probing: (settings, [mode]) => {
    settings.tcp.mtuProbing = mode === 1;
    // Where Linux probes from the start on, this stack does not.
    return mode !== 2;
  },
  tcp_notsent_lowat: (settings, [bytes]) => {
    settings.notSentLowWater = bytes >>> 0;
  },
  tcp_window_scaling: only("1"),
  tcp_congestion_control: (settings, _values, name) => {
    const algorithm = CONGESTION[name];
    if (algorithm === undefined) return false;
    settings.tcp.congestionControl = algorithm;
    return true;
  },
  tcp_frto: ignore,
  tcp_fack: only("0"),
  tcp_dsack: only("1"),
  tcp_timestamps: (settings, [on]) => {
    settings.tcp.timestamps = on !== 0;
  },
  tcp_sack: (settings, [on]) => {
    settings.tcp.sack = on !== 0;
  },
  tcp_ecn: setEcn(ECN),
  tcp_ecn_option: (settings, [mode]) => {
    settings.tcp.ecnOption = ECN_OPTIONS[mode];
    return settings.tcp.ecnOption !== undefined;
  },
  tcp_ecn_option_beacon: (settings, [times]) => {
    settings.tcp.ecnBeacon = times;
  },
  tcp_ecn_fallback: (settings, [on]) => {
    settings.tcp.ecnFallback = on !== 0;
  },
  tcp_tso_win_divisor: ignore,
  tcp_min_tso_segs: ignore,
  tcp_pacing_ss_ratio: ignore,
  tcp_pacing_ca_ratio: ignore,
  tcp_fastopen: (settings, [bits]) => {
    settings.fastOpen.bits = bits;
  },
  tcp_fastopen_key: (settings, _values, text) => settings.fastOpen.setKeys(text),
  tcp_fastopen_cookies: ignore,
  tcp_fastopen_blackhole_timeout_sec: ignore,
  tcp_syncookies: ignore,
  tcp_autocorking: ignore,
  tcp_limit_output_bytes: ignore,
  tcp_challenge_ack_limit: ignore,
  tcp_invalid_ratelimit: ignore,
  tcp_moderate_rcvbuf: ignore,
  tcp_no_metrics_save: ignore,
  icmp_ratelimit: ignore,
  icmp_msgs_per_sec: ignore,
};

const FREEBSD: Readonly<Record<string, Apply>> = {
  "net.inet.tcp.recvspace": (settings, [bytes]) => {
    settings.tcp.receiveWindow = bytes;
    settings.receiveBuffer = bytes;
  },
  "net.inet.tcp.sendspace": (settings, [bytes]) => {
    settings.sendBuffer = bytes;
  },
  "kern.ipc.maxsockbuf": (settings, [bytes]) => {
    settings.tcp.receiveWindowMax = bytes;
  },
  "net.inet.tcp.rexmit_initial": (settings, [millis]) => {
    settings.tcp.initialRto = millis * MILLISECOND;
  },
  "net.inet.tcp.delacktime": (settings, [millis]) => {
    settings.tcp.delayedAck = millis * MILLISECOND;
  },
  "net.inet.tcp.rexmit_slop": ignore,
  "net.inet.tcp.rexmit_drop_options": ignore,
  "net.inet.tcp.rfc1323": only("1"),
  "net.inet.tcp.sack.enable": (settings, [on]) => {
    settings.tcp.sack = on !== 0;
  },
  "net.inet.tcp.ecn.enable": setEcn(ECN.slice(0, 3)),
  "net.inet.tcp.ecn.maxretries": ignore,
  "net.inet.tcp.blackhole": only("0"),
  "net.inet.tcp.insecure_rst": only("0"),
  "net.inet.tcp.insecure_syn": only("0"),
  "net.inet.tcp.drop_synfin": ignore,
  "net.inet.tcp.syncookies": ignore,
  "net.inet.tcp.syncookies_only": only("0"),
  "net.inet.tcp.hostcache.purgenow": ignore,
  "net.inet.tcp.icmp_may_rst": only("1"),
  "net.inet.tcp.keepinit": ignore,
  "net.inet.tcp.keepintvl": ignore,
  "net.inet.tcp.fastopen.client_enable": ignore,
  "net.inet.tcp.fastopen.server_enable": ignore,
  "net.inet.tcp.udp_tunneling_port": only("0"),
  "net.inet.tcp.udp_tunneling_overhead": ignore,
};

/** Sets `key` (`net.ipv4.tcp_sack`, or with slashes) to `value`. */
export function applySysctl(settings: Settings, path: string, value: string): void {
  const key = path.replace(/^\/?proc\/sys\//, "").replaceAll("/", ".");
  const linux = /^net\.ipv[46]\.(\w+)$/.exec(key)?.[1];
  const apply = linux === undefined ? FREEBSD[key] : LINUX[linux];
  const text = value.trim();
  const values = text.split(/\s+/).map(Number);
  if (!apply || apply(settings, values, text) === false) {
    throw new Unsupported(`sysctl ${key}=${text}`);
  }
  // FreeBSD, which alone has such a key, delays the ACKs of first segments like all others.
  if (linux === undefined) settings.tcp.quickAcks = 0;
}

/**
 * What `defaults.sh` of the public suites sets that matters here.
 *
 * @param path as the script calls it: the Linux kernel's selftests have it beside them, and another value
 *   of `tcp_fastopen` in it than google's, whose scripts are also of a time when all timeouts of a SYN doubled
 */
export function applyLinuxDefaults(settings: Settings, path: string): void {
  applySysctl(settings, "net.ipv4.tcp_rmem", "4096 540000 15728640");
  applySysctl(settings, "net.ipv4.tcp_wmem", "4096 262144 4194304");
  applySysctl(settings, "net.ipv4.tcp_syn_retries", "5");
  applySysctl(settings, "net.ipv4.tcp_ecn", "0");
  const selftest = path === "./defaults.sh";
  applySysctl(settings, "net.ipv4.tcp_syn_linear_timeouts", selftest ? "4" : "0");
  applySysctl(settings, "net.ipv4.tcp_fastopen", selftest ? "0x3" : "0x70403");
  applySysctl(settings, "net.ipv4.tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
}
