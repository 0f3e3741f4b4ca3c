/** What becomes of a core's IP state when its thread was lost: what is known remains, what was in hand goes. */
import { prepareSlots } from "../mem/slots";
import { nowWide } from "../time/clock";
import { abandonGroups } from "./groups";
import { armInterface } from "./interface-timer";
import { clearNetTimers } from "./net-state";

/** Sets the state up anew around what it knows. The wheel is empty. */
export function abandonNet(): void {
  clearNetTimers();
  prepareSlots();
  abandonGroups();
  armInterface(nowWide);
}
