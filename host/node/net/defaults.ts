/**
 * The network that programs are on which name none: made when it is first used, with one host. Whatever
 * listens and connects in this process meets there.
 */
import { JoinedNetwork } from "../../net/joined-network.ts";
import { Network } from "../../net/network.ts";
import type { HostHandle, NetworkOptions } from "../../net/network.ts";
import type { Host } from "../../net/host.ts";
import { loadKernelSync } from "../kernel.ts";

let host: Host | undefined;

/** The host of this process. */
export function defaultHost(): Host {
  host ??= createNetwork().addHost("localhost");
  return host;
}

/** Makes `host` the one that is used where none is named. */
export function setDefaultHost(chosen: Host): void {
  host = chosen;
}

/**
 * On another thread than the network's: runs a host that was reserved there (`reserveHost`), and makes it
 * the one that is used where none is named.
 *
 * @throws {StateError} another thread runs it already
 */
export function joinNetwork(handle: HostHandle): Host {
  host = new JoinedNetwork(handle).host;
  return host;
}

/** A network of hosts inside this process, on the package's own kernel. */
export function createNetwork(options: Partial<NetworkOptions> = {}): Network {
  return new Network({ ...options, kernel: options.kernel ?? loadKernelSync() });
}
