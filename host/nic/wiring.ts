/** Wires between ports: a cable, or a switch. Plain data, to be given to `createBackend`. */
import { checkLinkOptions } from "./link.ts";
import { createMacTable, MAX_SWITCH_PORTS } from "./switch.ts";
import type { LinkOptions, PortHandle, Wire } from "./types.ts";

/**
 * Connects two ports with a cable. Returns the wire that `a` sends on and the one that `b` sends
 * on.
 *
 * @param options one for both directions, or one for each: [from a, from b]
 * @throws RangeError for an option outside its range
 */
export function connectPorts(
  a: PortHandle,
  b: PortHandle,
  options: LinkOptions | readonly [LinkOptions, LinkOptions] = {},
): [Wire, Wire] {
  const [fromA, fromB] = isPair(options) ? options : [options, options];
  checkLinkOptions(fromA);
  checkLinkOptions(fromB);
  return [
    { kind: "link", to: b, options: fromA },
    { kind: "link", to: a, options: fromB },
  ];
}

/**
 * Puts ports on a learning switch. Returns the wire each sends on, in their order. A link's options
 * hold for the way from a port to the switch; from the switch on, frames are delivered at once.
 *
 * @param options one for all ports, or one for each
 * @throws RangeError for an option outside its range, or as many options as there are not ports
 */
export function createSwitch(
  ports: readonly PortHandle[],
  options: LinkOptions | readonly LinkOptions[] = {},
): Wire[] {
  if (ports.length > MAX_SWITCH_PORTS) {
    throw new RangeError(`ports: a switch has at most ${MAX_SWITCH_PORTS}, not ${ports.length}`);
  }
  const each = isList(options) ? options : ports.map(() => options);
  if (each.length !== ports.length) {
    throw new RangeError(`options: ${each.length} for ${ports.length} ports`);
  }
  const center = new Switch();
  return ports.map((port, index) => center.connect(port, each[index]));
}

/**
 * A learning switch that grows: ports may be connected while others are in use, as long as all of them
 * are run by this thread. Workers see the ports that there were when they were given their wire.
 */
export class Switch {
  readonly #table = createMacTable();
  readonly #ports: PortHandle[] = [];

  /**
   * Connects a port. Returns the wire that it sends on.
   *
   * @throws RangeError for an option outside its range, or when the switch is full
   */
  connect(port: PortHandle, options: LinkOptions = {}): Wire {
    if (this.#ports.length === MAX_SWITCH_PORTS) {
      throw new RangeError(`ports: a switch has at most ${MAX_SWITCH_PORTS}`);
    }
    checkLinkOptions(options);
    const index = this.#ports.push(port) - 1;
    return { kind: "switch", table: this.#table, ports: this.#ports, port: index, options };
  }
}

function isPair(
  options: LinkOptions | readonly [LinkOptions, LinkOptions],
): options is readonly [LinkOptions, LinkOptions] {
  return Array.isArray(options);
}

function isList(options: LinkOptions | readonly LinkOptions[]): options is readonly LinkOptions[] {
  return Array.isArray(options);
}
