/** Settings of datagram sockets that a dataplane has once for all of them, or not at all. */
import { named } from "../net/errors.ts";

/** What the kernel sends to groups with: RFC 1112 section 6.1. */
export const MULTICAST_TTL = 1;

/**
 * Checks a number of hops that a socket is to send with.
 *
 * @param fixed the one number that the kernel has for all sockets: asking for another is an error that says so
 */
export function checkHops(what: string, wanted: number, fixed: number): number {
  if (wanted < 1 || wanted > 255) throw named(what, "EINVAL");
  if (wanted === fixed) return wanted;
  throw unsupported(what, `the dataplane sends with ${fixed}, see the option "ttl" of its host`);
}

/** For what a dataplane does not have, with what to do instead. */
export function unsupported(what: string, instead: string): Error {
  const error = named(what, "ENOPROTOOPT");
  error.message += `: a dataplane has no such setting; ${instead}`;
  return error;
}
