/** What the stack knows of a socket's connection. */
import type { IxevContext } from "../../libix/ixev-context.ts";

/** Bytes are those of one connection, at this moment. */
export interface TcpInfo {
  readonly state: "connecting" | "established" | "closed";
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
  const state = context.isDead ? "closed" : context.isOpen ? "established" : "connecting";
  return { state, unread: available, unsent, unacknowledged, ended };
}
