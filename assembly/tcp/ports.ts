/**
 * Which local port an active open gets (RFC 6056): one that is free, that nobody listens on, and whose replies
 * come to this core.
 */
import { CFG_EPHEMERAL_HIGH, CFG_EPHEMERAL_LOW } from "../abi";
import { config, coreBlock } from "../core/config";
import { STATE_PORTS } from "../core/state";
import { isCallable } from "../flow/groups";
import { portOffset } from "./isn";
import { findListener } from "./listeners";
import { findTuple, localPortShare, localWord, remoteSecret, tupleHash } from "./tuple";

/** What the search remembers; in the core's control block. */
@final
@unmanaged
class PortSearch {
  /** Ports tried since the start, so that successive searches begin apart (RFC 6056 section 3.3.3). */
  tried: u32;
}

let search = changetype<PortSearch>(0);

/** Binds this instance to the core. */
export function bindPorts(): void {
  search = changetype<PortSearch>(coreBlock + STATE_PORTS);
}

/**
 * The port pair of a connection to the peer in hand (tuple.ts), or 0 when there is none.
 *
 * @param remotePort network order
 * @param localPort network order; 0: any
 */
export function portsFor(remotePort: u32, localPort: u32): u32 {
  return localPort != 0 ? chosenPorts(remotePort, localPort) : freePorts(remotePort);
}

/** The pair with a chosen local port, or 0 when that tuple is taken or another core's. */
function chosenPorts(remotePort: u32, localPort: u32): u32 {
  const ports = remotePort | (localPort << 16);
  return isFree(ports, tupleHash(ports)) ? ports : 0;
}

function isFree(ports: u32, hash: u32): bool {
  return isCallable(hash) && findTuple(hash, ports) == null;
}

/**
 * True when nobody here listens on the port (host order; RFC 6056 section 3.1): whoever called a listener of its
 * own host from that listener's port would be connected with itself.
 */
function isUnserved(port: u32): bool {
  return findListener(port) == null;
}

/**
 * A port pair that is free and whose replies the NIC brings to this core (RFC 6056 section 3.3.3 with
 * the hash of RSS as a further condition); 0 when there is none. The hash is linear, so a port costs two
 * lookups to try, and as many as there are cores have to be tried on average.
 */
function freePorts(remotePort: u32): u32 {
  const low = config(CFG_EPHEMERAL_LOW);
  const range = config(CFG_EPHEMERAL_HIGH) - low + 1;
  const base = tupleHash(remotePort);
  let at = (portOffset(localWord, remoteSecret(), remotePort) + search.tried) % range;
  for (let tried: u32 = 0; tried < range; tried++) {
    search.tried++;
    const port: u32 = bswap<u16>(<u16>(low + at));
    const ports = remotePort | (port << 16);
    if (isFree(ports, base ^ localPortShare(port)) && isUnserved(low + at)) return ports;
    at = at + 1 == range ? 0 : at + 1;
  }
  return 0;
}
