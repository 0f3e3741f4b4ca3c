/**
 * The end of an application on one core, while the dataplane goes on: what it made there must not wait
 * for the next one.
 */
import { CORE_SYSCALL_COUNT } from "../abi";
import { coreBlock } from "../core/config";
import { endRescue } from "../flow/departure";
import { endSilence } from "../nic/rings";
import { unlistenAll } from "../tcp/listeners";
import { finishEvents, resetEvents } from "./events";
import { cancelUserTimers } from "./timers";
import { unbindAll } from "./udp-calls";

/**
 * Ends listeners, UDP ports and timers of this core, and drops calls and events that wait. Connections
 * are not touched: the core has given its flow groups away. So one that was rescued is as good as any now.
 */
export function forget(): void {
  store<u32>(coreBlock + CORE_SYSCALL_COUNT, 0);
  resetEvents();
  finishEvents();
  unlistenAll();
  unbindAll();
  cancelUserTimers();
  endRescue();
  endSilence();
}
