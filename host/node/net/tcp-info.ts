/** What the stack knows of a socket's connection, as `socket.tcpInfo()` says it. */
import type { IxevContext } from "../../libix/ixev-context.ts";
import type { ConnectionInfo, TcpState } from "../../libix/tcp-info.ts";

/** Bytes, and µs, at this moment. What only the kernel knows is there while there is a connection. */
export interface TcpInfo extends Partial<ConnectionInfo> {
  readonly state: TcpState;
  /** Received, and not read by the stream yet: the peer's window is smaller by as much. */
  readonly unread: number;
  /** Written, and not accepted by the peer's or the congestion window yet. */
  readonly unsent: number;
  /** Written, and not acknowledged by the peer yet. */
  readonly unacknowledged: number;
  /** The peer has ended its stream, and all of it was read. */
  readonly ended: boolean;
}

export function tcpInfo(context: IxevContext): TcpInfo {
  const { available, unsent, unacknowledged, ended } = context;
  const state = context.isDead || context.isOpen ? "closed" : "syn-sent";
  return { state, ...context.info(), unread: available, unsent, unacknowledged, ended };
}
