/** Events of the kernel as objects that say what their words mean (the table in assembly/abi.ts). */
import {
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_COOKIE,
  CALL_D,
  CALL_HANDLE,
  CALL_OP,
  CALL_RESULT,
  ENDPOINT_PORT,
  EV_ARRIVED,
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_LEFT,
  EV_RECV,
  EV_SENT,
  EV_TIMER,
  EV_UDP_ERROR,
  EV_UDP_RECV,
  EV_UDP_SENT,
} from "../../assembly/abi.ts";
import { mappedText } from "./packet/addresses.ts";

interface Common {
  readonly handle: number;
  readonly cookie: number;
  /** Virtual time of the poll that reported it, µs. */
  readonly at: number;
}

export interface Knock extends Common {
  readonly kind: "knock";
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localPort: number;
}

export interface Connected extends Common {
  readonly kind: "connected";
  /** RC_* code. */
  readonly outcome: number;
  readonly localPort: number;
}

export interface Recv extends Common {
  readonly kind: "recv";
  readonly address: number;
  /** A copy of the bytes; empty for the peer's FIN. */
  readonly data: Uint8Array;
}

export interface Sent extends Common {
  readonly kind: "sent";
  readonly acked: number;
  readonly window: number;
}

export interface Dead extends Common {
  readonly kind: "dead";
  /** RC_* code. */
  readonly reason: number;
  readonly acked: number;
}

export interface UdpRecv extends Common {
  readonly kind: "udp_recv";
  readonly address: number;
  readonly data: Uint8Array;
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly token: number;
}

export interface UdpSent extends Common {
  readonly kind: "udp_sent";
  readonly bytes: number;
}

export interface UdpError extends Common {
  readonly kind: "udp_error";
  /** RC_* code. */
  readonly reason: number;
  /** Of RC_MSGSIZE. */
  readonly pathMtu: number;
}

export interface TimerEvent extends Common {
  readonly kind: "timer";
}

export interface Left extends Common {
  readonly kind: "left";
  readonly target: number;
}

export interface Arrived extends Common {
  readonly kind: "arrived";
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localPort: number;
  readonly tag: number;
  readonly source: number;
  /** ARRIVED_* */
  readonly flags: number;
}

export type KernelEvent =
  | Left
  | Arrived
  | Knock
  | Connected
  | Recv
  | Sent
  | Dead
  | UdpRecv
  | UdpSent
  | UdpError
  | TimerEvent;

/** Reads the event descriptor at `address`. */
export function decodeEvent(view: DataView, address: number, at: number): KernelEvent {
  const word = (offset: number): number => view.getUint32(address + offset, true);
  const op = word(CALL_OP);
  const common = { handle: word(CALL_HANDLE), cookie: word(CALL_COOKIE), at };
  const [a, b, c, d] = [CALL_A, CALL_B, CALL_C, CALL_D].map(word);
  const result = view.getInt32(address + CALL_RESULT, true);
  const bytes = new Uint8Array(view.buffer);
  switch (op) {
    case EV_KNOCK:
      return {
        kind: "knock",
        ...common,
        remoteIp: mappedText(bytes.slice(address + CALL_A, address + CALL_A + 16)),
        remotePort: result & 0xffff,
        localPort: result >>> 16,
      };
    case EV_CONNECTED:
      return { kind: "connected", ...common, outcome: result, localPort: a };
    case EV_RECV:
      return { kind: "recv", ...common, address: a, data: bytes.slice(a, a + b) };
    case EV_SENT:
      return { kind: "sent", ...common, acked: a, window: b };
    case EV_DEAD:
      return { kind: "dead", ...common, reason: result, acked: a };
    case EV_UDP_RECV:
      return {
        kind: "udp_recv",
        ...common,
        address: a,
        data: bytes.slice(a, a + b),
        remoteIp: mappedText(bytes.slice(c, c + 16)),
        remotePort: view.getUint16(c + ENDPOINT_PORT, true),
        token: d,
      };
    case EV_UDP_SENT:
      return { kind: "udp_sent", ...common, bytes: a };
    case EV_LEFT:
      return { kind: "left", ...common, target: a };
    case EV_ARRIVED:
      if (view.getUint16(b + ENDPOINT_PORT, true) !== (result & 0xffff)) {
        throw new Error("arrived: the endpoint's port is not the event's");
      }
      return {
        kind: "arrived",
        ...common,
        remoteIp: mappedText(bytes.slice(b, b + 16)),
        remotePort: result & 0xffff,
        localPort: result >>> 16,
        tag: a,
        source: c,
        flags: d,
      };
    case EV_UDP_ERROR:
      return { kind: "udp_error", ...common, reason: result, pathMtu: a };
    case EV_TIMER:
      return { kind: "timer", ...common };
    default:
      throw new Error(`event of unknown kind ${op}`);
  }
}

/** One line per event, for the messages of failing tests. */
export function formatEvent(event: KernelEvent): string {
  const { kind, handle, at, ...rest } = event;
  const details = Object.entries(rest)
    .map(([name, value]) => `${name} ${value instanceof Uint8Array ? value.length : value}`)
    .join(", ");
  return `${at} ${kind} #${handle.toString(16)}: ${details}`;
}
