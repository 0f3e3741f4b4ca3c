/**
 * Challenge ACKs (RFC 5961): answers that make an honest peer prove itself, bounded per core and second so
 * that nobody can make us shout. How many fit a second differs from one second to the next, so that an
 * attacker learns nothing by counting them (as Linux does since CVE-2016-5696).
 */
import { CFG_CHALLENGE_ACKS, CNT_TCP_CHALLENGE_ACKS, CNT_TCP_CHALLENGES_LIMITED } from "../abi";
import { config, coreBlock } from "../core/config";
import { count } from "../core/counters";
import { STATE_CHALLENGES } from "../core/state";
import { nowMillis } from "../time/clock";
import { unpredictable } from "./isn";
import { sendAck } from "./output";
import { Tcb } from "./tcb";

/** The current second's budget; in the core's control block. */
@final
@unmanaged
class Challenges {
  /** Which second it is for, plus one. */
  second: u32;
  left: u32;
}

let challenges = changetype<Challenges>(0);

/** Binds this instance to the core's budget. */
export function bindChallenges(): void {
  challenges = changetype<Challenges>(coreBlock + STATE_CHALLENGES);
}

/** Answers a segment that may be forged with an ACK of where we are, as far as the budget reaches. */
export function challenge(tcb: Tcb): void {
  const second = nowMillis / 1000 + 1;
  if (second != challenges.second) {
    // From half to one and a half of what is configured.
    const limit = config(CFG_CHALLENGE_ACKS);
    challenges.second = second;
    challenges.left = (limit + 1) / 2 + (unpredictable(second) % limit);
  }
  if (challenges.left == 0) {
    count(CNT_TCP_CHALLENGES_LIMITED);
    return;
  }
  challenges.left--;
  count(CNT_TCP_CHALLENGE_ACKS);
  sendAck(tcb);
}
