/**
 * The network that programs are on which name none: made when it is first used, with one host. Whatever
 * listens and connects in this process meets there.
 */
import { Network } from "../../net/network.ts";
import type { NetworkOptions } from "../../net/network.ts";
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

/** A network of hosts inside this process, on the package's own kernel. */
export function createNetwork(options: Partial<NetworkOptions> = {}): Network {
  return new Network({ ...options, kernel: options.kernel ?? loadKernelSync() });
}
