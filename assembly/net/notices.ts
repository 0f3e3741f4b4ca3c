/**
 * What a packet from the link may teach: the kinds of notes that cores leave each other (learned.ts), and
 * whom each is for.
 */
import { heardQuery } from "./groups";
import { addressTaken, prefixAdvertised } from "./interface";
import { learnAdvertised, learnNeighbour } from "./neighbours";
import { linkMtuAdvertised, routerAdvertised, routerGone } from "./routers";

/** Somebody says who he is: MAC head, MAC tail, `NOTE_*`. */
export const LINK_NEIGHBOUR: u32 = 1;
/** A neighbour advertisement: MAC head, MAC tail, `NOTE_*`. */
export const LINK_ADVERTISED: u32 = 2;
/** A router: lifetime in seconds, hop limit or 0. */
export const LINK_ROUTER: u32 = 3;
/** A prefix: bits and flags << 8, seconds valid, seconds preferred. */
export const LINK_PREFIX: u32 = 4;
/** The link's MTU. */
export const LINK_MTU: u32 = 5;
/** Another host has an address of ours. */
export const LINK_TAKEN: u32 = 6;
/** A query about a group, or about all (address 0): version, ms within which to answer. */
export const LINK_QUERY: u32 = 7;

export const NOTE_ANSWER: u32 = 1;
export const NOTE_CREATE: u32 = 2;
export const NOTE_NAMED: u32 = 4;
export const NOTE_SOLICITED: u32 = 8;
export const NOTE_OVERRIDE: u32 = 16;
export const NOTE_ROUTER: u32 = 32;

/** Takes in a note on this core. */
export function applyNotice(kind: u32, high: u64, low: u64, a: u32, b: u32, c: u32): void {
  switch (kind) {
    case LINK_NEIGHBOUR:
      learnNeighbour(high, low, a, b, (c & NOTE_ANSWER) != 0, (c & NOTE_CREATE) != 0);
      break;
    case LINK_ADVERTISED: {
      const solicited = (c & NOTE_SOLICITED) != 0;
      learnAdvertised(high, low, a, b, (c & NOTE_NAMED) != 0, solicited, (c & NOTE_OVERRIDE) != 0);
      // RFC 4861 section 7.2.5: who is no router any more is no default router.
      if (!(c & NOTE_ROUTER)) routerGone(high, low);
      break;
    }
    case LINK_ROUTER:
      routerAdvertised(high, low, a, b);
      break;
    case LINK_PREFIX:
      prefixAdvertised(high, low, a & 0xff, a >> 8, b, c);
      break;
    case LINK_MTU:
      linkMtuAdvertised(a);
      break;
    case LINK_TAKEN:
      addressTaken(high, low);
      break;
    case LINK_QUERY:
      heardQuery(high, low, a, b);
      break;
    default:
  }
}
