/**
 * Where a program that was started with `--import ixwasm/register` is:
 *
 *   (nothing)        a network inside the process, with one host, "localhost"
 *   IXWASM_TAP       name of a TAP device that Linux is behind, made if it does not exist
 *   IXWASM_IP        with IXWASM_TAP: the dataplane's address and prefix, "10.9.0.2/24"
 *   IXWASM_TAP_IP    with IXWASM_TAP: the address and prefix of Linux's end; absent: left as it is
 *   IXWASM_GATEWAY   with IXWASM_TAP: where everything else is
 *   IXWASM_PASS      TCP ports of this host that stay with the operating system, see pass.ts
 */
import type { InlineDataplane } from "../../dataplane/inline.ts";
import { OptionTypeError } from "../../dataplane/errors.ts";
import { Network } from "../../net/network.ts";
import type { Host } from "../../net/host.ts";
import { loadKernelSync } from "../kernel.ts";
import { setDefaultHost } from "../net/defaults.ts";
import { openTap, type Tap } from "../tap.ts";
import { takeEverything } from "./destination.ts";
import { pass } from "./pass.ts";

/** A network of one host, whose cable ends at a TAP device. */
class TapNetwork extends Network {
  readonly #tap: Tap;

  constructor(tap: Tap) {
    super({ kernel: loadKernelSync() });
    this.#tap = tap;
  }

  protected override plan(host: Host): InlineDataplane {
    return {
      backend: (port, queue) => this.#tap.backend(port, queue),
      app: ({ ix }) => host.attach(ix),
    };
  }
}

/** Puts the process's own host where the environment says. */
export function configure(environment: NodeJS.ProcessEnv): void {
  const { IXWASM_TAP, IXWASM_IP, IXWASM_TAP_IP, IXWASM_GATEWAY, IXWASM_PASS } = environment;
  if (IXWASM_PASS) pass(IXWASM_PASS);
  if (IXWASM_TAP === undefined) return;
  const parts = /^([\d.]+)\/(\d+)$/.exec(IXWASM_IP ?? "");
  if (parts === null) {
    throw new OptionTypeError(
      `ixwasm: IXWASM_TAP needs IXWASM_IP, like "10.9.0.2/24", not "${IXWASM_IP ?? ""}"`,
    );
  }
  const tap = openTap({ name: IXWASM_TAP, address: IXWASM_TAP_IP });
  const host = new TapNetwork(tap).addHost("localhost", {
    address: parts[1],
    prefixLength: Number(parts[2]),
    gateway: IXWASM_GATEWAY,
    ip6: false,
    offloads: tap.offloads,
    tcp: { profile: "default" },
  });
  setDefaultHost(host);
  takeEverything();
}
