/** The dataplane as the one that connects: to a listener of Linux's, and to where none is. */
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RC_OK, RC_REFUSED, RC_UNREACHABLE } from "../../assembly/abi.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import type { KernelBuild } from "../../host/node/index.ts";
import { BUSY } from "../support/expert.ts";
import type { TapCapture } from "./capture.ts";
import { Dialer, until, WITHOUT_LATE_RESETS } from "./dialer.ts";
import { tapUnavailable } from "./namespace.ts";
import { LINUX } from "./responder.ts";

const CLIENT = fileURLToPath(new URL("client.mjs", import.meta.url));
const PORT = 7;

const unavailable = tapUnavailable();

/** Byte `at` of what connection `seed` sends. */
const byteOf = (seed: number, at: number): number => (seed * 131 + at * 7 + (at >> 8)) & 0xff;

/** Sends `size` bytes to an echo server, and checks what comes back. */
class EchoCheck {
  readonly context = new IxevContext();
  received = 0;
  outcome: "open" | "same" | "different" | "ended early" = "open";
  readonly #seed: number;
  readonly #bytes: Uint8Array;
  #sent = 0;

  constructor(seed: number, size: number) {
    this.#seed = seed;
    this.#bytes = Uint8Array.from({ length: size }, (_, at) => byteOf(seed, at));
    this.context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, () => this.#work());
  }

  #work(): void {
    const { context } = this;
    if (context.isOpen && this.#sent < this.#bytes.length) {
      this.#sent += Math.max(0, context.send(this.#bytes.subarray(this.#sent)));
      if (this.#sent === this.#bytes.length) context.shutdown();
    }
    const chunk = new Uint8Array(4096);
    for (let length = context.recv(chunk); length > 0; length = context.recv(chunk)) {
      for (let i = 0; i < length; i++) {
        if (chunk[i] !== byteOf(this.#seed, this.received + i)) this.outcome = "different";
      }
      this.received += length;
    }
    if (this.outcome !== "open" || !(context.ended || context.isDead)) return;
    this.outcome = this.received === this.#bytes.length ? "same" : "ended early";
    context.close();
  }
}

describe.skipIf(unavailable).each<KernelBuild>(["debug", "release"])(
  `connecting to Linux, %s kernel${unavailable ? ` (skipped: ${unavailable})` : ""}`,
  (build) => {
    let dialer: Dialer;
    let capture: TapCapture;

    beforeEach(async () => {
      dialer = new Dialer(build);
      capture = await dialer.capture();
    });

    afterEach(() => dialer.stop());

    /** Starts client.mjs's echo server; `stop` returns what it has counted. */
    async function startEchoServer(): Promise<{ stop: () => Promise<unknown> }> {
      const child = dialer.namespace.start(
        process.execPath,
        CLIENT,
        "echoServer",
        JSON.stringify({ port: PORT }),
      );
      let output = "";
      child.stdout!.on("data", (chunk: Buffer) => (output += chunk.toString()));
      await until(() => output.includes("listening\n"));
      return {
        stop: async () => {
          const closed = new Promise((resolve) => child.once("close", resolve));
          child.stdin!.end();
          await closed;
          return JSON.parse(output.split("\n")[1]);
        },
      };
    }

    it("opens connections of its own and gets its bytes back", async () => {
      const server = await startEchoServer();
      const sizes = [1, 1000, 1460, 1461, 100_000, 1_000_000];
      const checks = Array.from(
        { length: 60 },
        (_, i) => new EchoCheck(i, sizes[i % sizes.length]),
      );
      for (const { context } of checks) dialer.ixev.dial(context, LINUX, PORT);
      await until(() => checks.every(({ outcome }) => outcome !== "open"), 20_000);
      expect(new Set(checks.map(({ outcome }) => outcome))).toEqual(new Set(["same"]));
      expect(dialer.outcomes).toEqual(checks.map(() => RC_OK));
      const bytes = checks.reduce((sum, { received }) => sum + received, 0);
      expect(await server.stop()).toEqual({ connections: checks.length, bytes });
      await dialer.settle();
      // What Linux had no room for we send again at once, too soon for Wireshark to take it for a repeat.
      const soon = /^TCP: This frame is a \(suspected\) out-of-order segment/;
      await capture.expectSound({ filter: WITHOUT_LATE_RESETS, possible: [...BUSY, soon] });
    });

    it("is refused where nobody listens", async () => {
      dialer.ixev.dial(new IxevContext(), LINUX, PORT);
      await until(() => dialer.outcomes.length === 1);
      expect(dialer.outcomes).toEqual([RC_REFUSED]);
      dialer.dataplane.assertNoLeaks();
      await capture.expectSound({ provoked: [/^TCP: Connection reset/] });
    });

    it("is told that nobody has the address", async () => {
      dialer.ixev.dial(new IxevContext(), "10.9.0.77", PORT);
      await until(() => dialer.outcomes.length === 1);
      expect(dialer.outcomes).toEqual([RC_UNREACHABLE]);
      await until(() => dialer.dataplane.gauges().neighbourPending === 0);
      dialer.dataplane.assertNoLeaks();
      await capture.expectSound();
    });
  },
);
