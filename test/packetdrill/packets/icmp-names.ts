/** The words scripts use for ICMP types and codes (RFC 792, RFC 1122 section 3.2.2, RFC 4443). */
import { SyntaxFault } from "../language/errors.ts";

interface Kind {
  readonly type: number;
  readonly codes: Readonly<Record<string, number>>;
}

const TIME_EXCEEDED_V4 = { ttl_exceeded_in_transit: 0, frag_reass_exceeded: 1 };

const V4: Readonly<Record<string, Kind>> = {
  echo_reply: { type: 0, codes: {} },
  unreachable: {
    type: 3,
    codes: {
      net_unreachable: 0,
      host_unreachable: 1,
      protocol_unreachable: 2,
      port_unreachable: 3,
      frag_needed: 4,
      source_route_failed: 5,
      net_unknown: 6,
      host_unknown: 7,
      source_host_isolated: 8,
      net_prohibited: 9,
      host_prohibited: 10,
      net_unreachable_for_tos: 11,
      host_unreachable_for_tos: 12,
      packet_filtered: 13,
      precedence_violation: 14,
      precedence_cutoff: 15,
    },
  },
  source_quench: { type: 4, codes: {} },
  redirect: { type: 5, codes: {} },
  echo_request: { type: 8, codes: {} },
  time_exceeded: { type: 11, codes: TIME_EXCEEDED_V4 },
  parameter_problem: { type: 12, codes: {} },
  timestamp_request: { type: 13, codes: {} },
  timestamp_reply: { type: 14, codes: {} },
};

const V6: Readonly<Record<string, Kind>> = {
  unreachable: {
    type: 1,
    codes: {
      no_route: 0,
      admin_prohibited: 1,
      not_neighbour: 2,
      address_unreachable: 3,
      port_unreachable: 4,
    },
  },
  packet_too_big: { type: 2, codes: {} },
  time_exceeded: { type: 3, codes: { exceeded_hop_limit: 0, exceeded_frag_time: 1 } },
  parameter_problem: {
    type: 4,
    codes: { header_field: 0, unknown_next_header: 1, unknown_option: 2 },
  },
  echo_request: { type: 128, codes: {} },
  echo_reply: { type: 129, codes: {} },
};

/** Type and code on the wire. */
export function icmpNumbers(
  version: 4 | 6,
  type: string,
  code: string | undefined,
  line: number,
): readonly [number, number] {
  const kind = (version === 4 ? V4 : V6)[type];
  const number = kind?.type ?? numbered("type", type);
  if (number === undefined) throw new SyntaxFault(line, `no ICMP type "${type}"`);
  if (code === undefined) return [number, 0];
  const value = kind?.codes[code] ?? numbered("code", code);
  if (value === undefined) throw new SyntaxFault(line, `no ICMP code "${code}"`);
  return [number, value];
}

/** `type_8`, `code_2`. */
function numbered(prefix: string, word: string): number | undefined {
  const match = new RegExp(`^${prefix}_(\\d+)$`).exec(word);
  return match ? Number(match[1]) : undefined;
}
