/**
 * A thread's part of a network that another thread has made: one host of it, run here. Frames go straight
 * into the rings of the other hosts, wherever they are run, and a host that sleeps is woken by its doorbell.
 */
import { adoptDataplane } from "../dataplane/dataplane.ts";
import { StateError } from "../dataplane/errors.ts";
import type { Host } from "./host.ts";
import { Network, type HostHandle } from "./network.ts";

export class JoinedNetwork extends Network {
  /** The host that is run here. */
  readonly host: Host;

  /** @throws {StateError} another thread runs the host already */
  constructor({ name, address, dataplane, wire, names }: HostHandle) {
    super({ kernel: dataplane.kernel });
    for (const [each, addresses] of names) this.names.set(each, ...addresses);
    this.host = this.createHost(name, address, adoptDataplane(dataplane));
    this.start(this.host, wire);
  }

  override addHost(): never {
    throw new StateError("hosts are added where the network was made: reserveHost() there");
  }

  override reserveHost(): never {
    return this.addHost();
  }
}
