/**
 * What a core keeps of frames, records and TCBs: about its share while it has flow groups, and next to
 * nothing while it has none, because what it has to spare is the others' then.
 */
import { coreBlock } from "../core/config";
import { STATE_STOCK } from "../core/state";
import { hasDepots } from "../mem/depot";
import { balanceBuffers } from "../mem/buffers";
import { balanceTcbs } from "../tcp/tcb-pool";

/** In the core's control block. */
@final
@unmanaged
class Stock {
  /** True when the core has given all its groups away. */
  shared: bool;
}

let stock = changetype<Stock>(0);

/** Binds this instance to the core. */
export function bindStock(): void {
  stock = changetype<Stock>(coreBlock + STATE_STOCK);
}

/** Keeps what this core has in stock near what it needs. */
export function balanceStock(): void {
  if (!hasDepots()) return;
  balanceBuffers(stock.shared);
  balanceTcbs(stock.shared);
}

/** This core has no groups any more. */
export function shareStock(): void {
  stock.shared = true;
  balanceStock();
}

/** This core gets groups, and at once may have to answer packets that have waited for them. */
export function restock(): void {
  stock.shared = false;
  balanceStock();
}
