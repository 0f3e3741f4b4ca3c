/** The link of a simulated host, to be changed while frames pass. */
import { waysOf, type HostLink } from "../net/network.ts";
import type { LinkOptions } from "../nic/types.ts";
import type { Switch } from "../nic/wiring.ts";

export class SimulatedLink {
  readonly #switch: Switch;
  /** Its number at the switch. */
  readonly port: number;
  #up: LinkOptions;
  #down: LinkOptions;
  #isUp = true;

  constructor(center: Switch, port: number, ways: { up: LinkOptions; down: LinkOptions }) {
    this.#switch = center;
    this.port = port;
    this.#up = ways.up;
    this.#down = ways.down;
  }

  /** What holds now: `up` is the way from the host to the switch. */
  get options(): { readonly up: LinkOptions; readonly down: LinkOptions } {
    return { up: this.#up, down: this.#down };
  }

  /**
   * Changes the options that are named, for both ways or under `up` or `down` for one; undefined takes
   * one back. Holds for frames that are sent from now on; those on their way arrive as they would have.
   *
   * @throws {RangeError} an option is out of its range; nothing is changed then
   */
  set(changes: HostLink): void {
    const ways = waysOf(changes);
    const up = { ...this.#up, ...ways.up };
    const down = { ...this.#down, ...ways.down };
    this.#switch.setLink(this.port, up, down);
    this.#up = up;
    this.#down = down;
  }

  /** False while it is down. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Pulls the cable: frames on their way are lost, those that follow too. The host is not told. */
  down(): void {
    this.#cut(true);
  }

  /** Puts the cable in again. */
  up(): void {
    this.#cut(false);
  }

  #cut(cut: boolean): void {
    this.#isUp = !cut;
    this.#switch.setCut(this.port, cut);
  }
}
