/** A dataplane on a TAP in a namespace of its own, that connects to Linux's programs there. */
import { createDataplane, InlineRunner, loadKernelSync, openTap } from "../../host/node/index.ts";
import type { Dataplane, DataplaneOptions, KernelBuild, Tap } from "../../host/node/index.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import { startCapture, type TapCapture } from "./capture.ts";
import { Namespace } from "./namespace.ts";
import { DATAPLANE, LINUX, LINUX6 } from "./responder.ts";

/**
 * What is looked at of a capture where Linux closes last: it resets what it has forgotten when an answer to its
 * repeated FIN comes late.
 */
export const WITHOUT_LATE_RESETS = `!((ip.src == ${LINUX} || ipv6.src == ${LINUX6}) && tcp.flags.reset == 1)`;

export class Dialer {
  readonly namespace = new Namespace();
  readonly tap: Tap;
  readonly dataplane: Dataplane;
  readonly ixev: Ixev;
  /** What came of the dials, in order. */
  readonly outcomes: number[] = [];
  #capture: TapCapture | undefined;
  readonly #runner = new InlineRunner({ clock: "real" });

  constructor(build: KernelBuild, options: Partial<DataplaneOptions> = {}) {
    const { namespace } = this;
    this.tap = openTap({ name: "tap0", namespace: namespace.name, address: `${LINUX}/24` });
    this.dataplane = createDataplane({
      kernel: loadKernelSync(build),
      ip: `${DATAPLANE}/24`,
      offloads: this.tap.offloads,
      tcp: { timeWait: 100_000 },
      ...options,
    });
    let ixev: Ixev | undefined;
    this.#runner.add(this.dataplane, {
      backend: (port, queue) => this.tap.backend(port, queue),
      app: ({ ix }) => {
        ixev = new Ixev(ix, { dialed: (_, outcome) => void this.outcomes.push(outcome) });
        return ixev;
      },
    });
    void this.#runner.start();
    this.ixev = ixev!;
  }

  /** Captures what passes the TAP from now on. */
  async capture(): Promise<TapCapture> {
    this.#capture = await startCapture(this.namespace);
    return this.#capture;
  }

  /** Waits until no connection is left, and demands that nothing else is. */
  async settle(): Promise<void> {
    await until(() => this.dataplane.gauges().connections === 0);
    this.dataplane.assertNoLeaks();
  }

  async stop(): Promise<void> {
    await this.#runner.stop();
    this.#runner.close();
    await this.#capture?.delete();
    this.tap.close();
    await this.namespace.delete();
  }
}

export async function until(condition: () => boolean, milliseconds = 20_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("it took too long");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
