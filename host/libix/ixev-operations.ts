/** What an application tells the event layer, and is asked and told by it besides its handlers. */
import type { IpAddress } from "./ip-address.ts";
import type { IxevContext } from "./ixev-context.ts";
import type { IxevListener } from "./ixev-listeners.ts";
import type { Ix } from "./ix.ts";

/** A connection that asks to be accepted. The object is reused: copy what is to be kept. */
export interface Knock {
  readonly address: IpAddress;
  readonly port: number;
  readonly localPort: number;
}

/** A connection that comes from another core. The object is reused: copy what is to be kept. */
export interface Arrival extends Knock {
  /** What `IxevContext.tag` was set to; 0 when it was not. */
  readonly tag: number;
  /** The core that it comes from. */
  readonly from: number;
  /** That core is lost, and with it what was written to the context and not yet sent. */
  readonly rescued: boolean;
}

/** What an application is told besides its handlers. */
export interface IxevOperations {
  /** A peer knocks: return a fresh context to accept the connection, null to refuse it. */
  accept?(knock: Knock): IxevContext | null;
  /**
   * A connection moves to another core. Its context is over, without IXEVHUP and without `released`.
   * Bytes written to it and not sent yet go along, as do those received and not consumed, its tag, and
   * a shutdown or close that was asked for; what else the application knows of it is for itself to pass
   * on. False as `complete`: the window had no room to carry them, and the stream has a hole.
   */
  left?(context: IxevContext, core: number, complete: boolean): void;
  /**
   * A connection comes from another core: return a fresh context to take it, null to reset it. The stream
   * goes on where the old context was. Without this operation it is reset.
   */
  arrived?(arrival: Arrival): IxevContext | null;
  /** What came of a `listen` is known: `listener.outcome`. No calls may be made. */
  listening?(listener: IxevListener): void;
  /** A dial has succeeded (RC_OK), or failed with an RC_* code: `released` follows then. */
  dialed?(context: IxevContext, outcome: number): void;
  /** The context's connection is over and nothing refers to it any more. */
  released?(context: IxevContext): void;
  /**
   * An event that is none of the layer's: of a UDP port, or a timer of the application's own. Raw
   * calls may be made. Without this datagrams are given back unread.
   */
  event?(ix: Ix, index: number): void;
  /** The result of a raw call that the layer does not know. No calls may be made. */
  result?(ix: Ix, index: number): void;
}

export interface IxevOptions {
  /** Bytes per copy buffer. Default 4096. */
  readonly copyBuffer?: number;
  /** Most bytes of copy buffers for one connection. Default an eighth of the window, >= 64 KiB. */
  readonly sendLimit?: number;
  /** Called when something was asked for between rounds: whoever runs the core may be asleep. */
  readonly wake?: () => void;
  /**
   * What becomes of connections whose core was lost: "continue" offers them to `arrived`, where what had
   * been written and not sent is missing; "reset" resets them. Default "continue".
   */
  readonly onCoreLoss?: "continue" | "reset";
}
