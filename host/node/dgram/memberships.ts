/** The multicast groups that a datagram socket is in, as addMembership and dropMembership change them. */
import { RC_OK } from "../../../assembly/abi.ts";
import { IpAddress } from "../../libix/ip-address.ts";
import { addressOf } from "../../net/names.ts";
import { isMulticast } from "../../net/udp.ts";
import { coded, named, systemError } from "../net/errors.ts";

export type MembershipCall = "addMembership" | "dropMembership";

/** Tells the kernel, as soon as the socket is bound. */
type Tell = (group: IpAddress, member: boolean, done: (outcome: number) => void) => void;

export class Memberships {
  readonly #groups = new Set<string>();
  readonly #tell: Tell;
  readonly #failed: (error: Error) => void;

  /** @param failed told what the kernel refuses, later */
  constructor(tell: Tell, failed: (error: Error) => void) {
    this.#tell = tell;
    this.#failed = failed;
  }

  /**
   * Joins or leaves a group.
   *
   * @throws as node:dgram: the group is missing or none, joined already, or not joined
   */
  change(what: MembershipCall, group: unknown): void {
    const text = checkGroup(what, group);
    const member = what === "addMembership";
    if (this.#groups.has(text) === member) {
      throw named(what, member ? "EADDRINUSE" : "EADDRNOTAVAIL");
    }
    if (member) this.#groups.add(text);
    else this.#groups.delete(text);
    this.#tell(IpAddress.parse(text), member, (outcome) => {
      if (outcome === RC_OK) return;
      this.#groups.delete(text);
      process.nextTick(() => this.#failed(systemError(what, outcome)));
    });
  }
}

function checkGroup(what: MembershipCall, group: unknown): string {
  if (!group) {
    const error = new TypeError('The "multicastAddress" argument must be specified');
    throw coded(error, "ERR_MISSING_ARGS");
  }
  const text = addressOf(String(group));
  if (text === undefined || !isMulticast(IpAddress.parse(text))) throw named(what, "EINVAL");
  return text;
}
