/** Wires between ports: a cable, or a switch. Plain data, to be given to `createBackend`. */
import { checkLinkOptions } from "./link.ts";
import { createMacTable, MAX_SWITCH_PORTS } from "./switch.ts";
import type { LinkOptions, PortHandle, SwitchWire, Ways, Wire } from "./types.ts";

/**
 * Connects two ports with a cable. Returns the wire that `a` sends on and the one that `b` sends
 * on.
 *
 * @param options one for both directions, or one for each: [from a, from b]
 * @throws RangeError for an option outside its range, TypeError for one that there is not, or for no port
 */
export function connectPorts(
  a: PortHandle,
  b: PortHandle,
  options: LinkOptions | readonly [LinkOptions, LinkOptions] = {},
): [Wire, Wire] {
  checkPort("a", a);
  checkPort("b", b);
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
 * hold for the way from a port to the switch; from there on, frames are delivered at once.
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
 * A learning switch that grows and changes: ports may be connected while others are in use, links may
 * get better or worse, and ports may be parted, as long as all of them are run by this thread. Workers
 * see what there was when they were given their wire.
 */
export class Switch {
  readonly #table = createMacTable();
  readonly #flowControl: boolean;
  readonly #ports: PortHandle[] = [];
  readonly #ways: Ways = { version: 0, ports: [] };

  /**
   * @param options.flowControl has senders wait for rings that are full. Default false: what finds no
   * room is dropped
   */
  constructor(options: { readonly flowControl?: boolean } = {}) {
    this.#flowControl = options.flowControl ?? false;
  }

  /**
   * Connects a port. Returns the wire that it sends on, whose `port` is the port's number.
   *
   * @param up the way from the port to the switch
   * @param down the way from the switch to the port. Default a perfect wire
   * @throws RangeError for an option outside its range, or when the switch is full
   */
  connect(port: PortHandle, up: LinkOptions = {}, down: LinkOptions = {}): SwitchWire {
    if (this.#ports.length === MAX_SWITCH_PORTS) {
      throw new RangeError(`ports: a switch has at most ${MAX_SWITCH_PORTS}`);
    }
    checkPort("port", port);
    checkLinkOptions(up);
    checkLinkOptions(down);
    const index = this.#ports.push(port) - 1;
    this.#ways.ports.push({ up, down, cut: false, blocked: new Set() });
    this.#ways.version++;
    return {
      kind: "switch",
      table: this.#table,
      ports: this.#ports,
      port: index,
      ways: this.#ways,
      flowControl: this.#flowControl,
    };
  }

  /**
   * Changes a port's link, for the frames that are sent from now on. All options are replaced.
   *
   * @throws RangeError for an option outside its range; nothing is changed then
   */
  setLink(port: number, up: LinkOptions, down: LinkOptions): void {
    checkLinkOptions(up);
    checkLinkOptions(down);
    Object.assign(this.#ways.ports[port], { up, down });
    this.#ways.version++;
  }

  /** Pulls a port's cable, or puts it in again. Frames that are on their way through it are lost. */
  setCut(port: number, cut: boolean): void {
    this.#ways.ports[port].cut = cut;
    this.#ways.version++;
  }

  /** Lets no frame from port `from` get to port `to`, or lets them again. */
  setBlocked(from: number, to: number, blocked: boolean): void {
    const way = this.#ways.ports[from];
    if (blocked) way.blocked.add(to);
    else way.blocked.delete(to);
    this.#ways.version++;
  }
}

function checkPort(name: string, port: PortHandle): void {
  if (port?.state instanceof SharedArrayBuffer) return;
  throw new TypeError(`${name}: this is no port; that of a dataplane is dataplane.port`);
}

function isPair(
  options: LinkOptions | readonly [LinkOptions, LinkOptions],
): options is readonly [LinkOptions, LinkOptions] {
  return Array.isArray(options);
}

function isList(options: LinkOptions | readonly LinkOptions[]): options is readonly LinkOptions[] {
  return Array.isArray(options);
}
