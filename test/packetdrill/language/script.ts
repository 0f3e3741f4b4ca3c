/** What a script says, as the parser reads it. Times are in µs. */

export interface Script {
  readonly path: string;
  readonly source: string;
  readonly options: readonly ScriptOption[];
  /** Shell command before the first event, if any. */
  readonly init: string | undefined;
  readonly events: readonly Event[];
  readonly cleanup: string | undefined;
}

export interface ScriptOption {
  readonly name: string;
  readonly value: string | undefined;
  readonly line: number;
}

export interface Event {
  readonly line: number;
  /** The event's text, on one line. */
  readonly text: string;
  readonly time: EventTime;
  readonly action: Action;
}

export type EventTime =
  | { readonly kind: "absolute" | "relative"; readonly from: number; readonly to: number }
  | { readonly kind: "any" };

export type Action =
  | { readonly kind: "packet"; readonly packet: PacketSpec }
  | { readonly kind: "call"; readonly call: CallSpec }
  | { readonly kind: "shell"; readonly command: string }
  | { readonly kind: "code"; readonly code: string };

export interface PacketSpec {
  readonly inbound: boolean;
  readonly ip: IpSpec;
  /** Source and destination port, when written. */
  readonly ports: readonly [number, number] | undefined;
  readonly body: TcpSpec | UdpSpec | IcmpSpec;
}

/** What is written of the IP header; the rest is default on the way in, unchecked on the way out. */
export interface IpSpec {
  readonly ecn?: number | "ect01";
  /** The whole TOS or traffic-class byte. */
  readonly tos?: number;
  readonly dscp?: number;
  readonly ttl?: number;
  readonly flowLabel?: number;
}

export interface TcpSpec {
  readonly kind: "tcp";
  /** `FLAG` bits. */
  readonly flags: number;
  readonly seq: number;
  /** `!`: not relative to the initial sequence number. */
  readonly seqAbsolute: boolean;
  /** `...(LEN)`: any sequence number. */
  readonly seqAny: boolean;
  readonly length: number;
  readonly ack: number | undefined;
  readonly ackAbsolute: boolean;
  readonly window: number | undefined;
  readonly urgent: number | undefined;
  /** "any": `<...>`. */
  readonly options: readonly OptionSpec[] | "any";
}

/** Bits of the TCP flags, the AE bit of RFC 9768 as the ninth. */
export const FLAG = {
  FIN: 1,
  SYN: 2,
  RST: 4,
  PSH: 8,
  ACK: 16,
  URG: 32,
  ECE: 64,
  CWR: 128,
  AE: 256,
} as const;

export type OptionSpec =
  | { readonly kind: "nop" | "eol" | "sackOK" }
  | { readonly kind: "mss" | "wscale"; readonly value: number }
  | { readonly kind: "sack"; readonly blocks: readonly (readonly [number, number])[] }
  | {
      readonly kind: "timestamps";
      readonly value: number;
      readonly valueAny: boolean;
      readonly echo: number;
      readonly echoAbsolute: boolean;
    }
  /** Any option as its number and the bytes behind the length. */
  | { readonly kind: "bytes"; readonly code: number; readonly data: Uint8Array };

export interface UdpSpec {
  readonly kind: "udp";
  /** Bytes of payload. */
  readonly length: number;
}

export interface IcmpSpec {
  readonly kind: "icmp";
  readonly type: string;
  readonly code: string | undefined;
  readonly mtu: number | undefined;
  readonly id: number | undefined;
  /** What of the stack's packets an error quotes. */
  readonly quote:
    | { readonly kind: "tcp"; readonly seq: number; readonly length: number }
    | { readonly kind: "udp" | "raw"; readonly length: number }
    | undefined;
}

export interface CallSpec {
  readonly name: string;
  readonly args: readonly Expression[];
  /** When a blocking call returns. */
  readonly returns: EventTime | undefined;
  readonly result: Expression;
  readonly errno: string | undefined;
}

export type Expression =
  | { readonly kind: "ellipsis" }
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "word"; readonly name: string }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "or"; readonly operands: readonly Expression[] }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  /** `{name=value, …}` and `{value, …}`, whose fields have no names. */
  | { readonly kind: "struct"; readonly fields: readonly StructField[] };

export interface StructField {
  readonly name: string | undefined;
  readonly value: Expression;
}
