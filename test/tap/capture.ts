/**
 * What passes a TAP while a test runs, as dumpcap sees it from Linux's side, and Wireshark's opinion of it.
 *
 *   const capture = await startCapture(namespace);
 *   …                                               what the test is about
 *   await capture.expectSound({ provoked: [/^TCP: Connection reset/] });
 *
 * Where dumpcap or tshark is missing, nothing is captured and a line says so.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectSound, PARTIAL, type Expected } from "../support/expert.ts";
import { type Namespace, tapUnavailable } from "./namespace.ts";

/** Why nothing can be captured here, or undefined when it can. */
export const captureUnavailable = tapUnavailable("dumpcap", "tshark");
/** For the names of tests that need it. */
export const withoutCapture = captureUnavailable ? ` (skipped: ${captureUnavailable})` : "";

/**
 * What is Linux's own: it writes a TCP checksum of 0 as 0xffff, which is as good to any receiver (RFC 1624), and
 * what it sends again when its queue to the TAP has overflowed looks out of order.
 */
const LINUX_HABITS =
  "(ip.src == 10.9.0.1 || ipv6.src == fd00:9::1) && " +
  "(tcp.checksum == 0xffff || tcp.analysis.out_of_order)";

/** How long the kernel keeps packets from dumpcap at most, and how long until it has written them, ms. */
const SETTLED = 400;
const SETTLED_AT_LAST = 10_000;

export interface CaptureOptions {
  /** Default "tap0". */
  readonly interface?: string;
  /** Bytes kept of a packet: for bulk transfers, whose TCP checksums are then not verified. Default all. */
  readonly snapLength?: number;
}

/** Starts to capture in a namespace, where the interface is there already. */
export async function startCapture(
  namespace: Namespace,
  options: CaptureOptions = {},
): Promise<TapCapture> {
  if (captureUnavailable) {
    console.warn(`nothing is captured: ${captureUnavailable}`);
    return new TapCapture();
  }
  const file = join(mkdtempSync(join(tmpdir(), "ixwasm-capture-")), "capture.pcapng");
  // A buffer of 64 MiB, so that it misses nothing when the machine is busy.
  const args = ["-i", options.interface ?? "tap0", "-w", file, "-q", "-B", "64"];
  if (options.snapLength) args.push("-s", `${options.snapLength}`);
  const program = namespace.start("dumpcap", ...args);
  return new TapCapture(file, program).started();
}

export class TapCapture {
  readonly #file: string | undefined;
  readonly #program: ChildProcess | undefined;
  readonly #ended: Promise<unknown>;
  #said = "";

  constructor(file?: string, program?: ChildProcess) {
    this.#file = file;
    this.#program = program;
    this.#ended = new Promise((resolve) => program?.once("close", resolve));
    program?.stderr!.on("data", (chunk: Buffer) => (this.#said += chunk.toString()));
  }

  /** Waits until packets are captured. */
  async started(): Promise<this> {
    // It names its file when it has opened it and the interface.
    while (!this.#said.includes("File: ")) {
      if (this.#program!.exitCode !== null) throw new Error(`dumpcap: ${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this;
  }

  /** Ends the capture. Returns its file, or undefined where nothing could be captured. */
  async end(): Promise<string | undefined> {
    if (this.#program?.exitCode === null) {
      await this.#settle();
      this.#program.kill("SIGINT");
      await this.#ended;
    }
    return this.#file;
  }

  /** Waits until what has passed is in the file, for some time nothing has been added to. */
  async #settle(): Promise<void> {
    const begin = Date.now();
    let size = -1;
    let since = begin;
    const isOver = (): boolean => {
      const now = Date.now();
      const grown = statSync(this.#file!).size;
      if (grown !== size) since = now;
      size = grown;
      return now - since > SETTLED || now - begin > SETTLED_AT_LAST;
    };
    while (!isOver()) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Ends the capture, and demands that Wireshark complains of nothing but what was provoked. */
  async expectSound(expected: Expected = {}): Promise<void> {
    const file = await this.end();
    if (file === undefined) return;
    // "Packets received/dropped on interface 'tap0': 12/0 (…)"
    const dropped = Number(/received\/dropped .*: \d+\/(\d+)/.exec(this.#said)?.[1]);
    if (Number.isNaN(dropped)) throw new Error(`dumpcap: ${this.#said}`);
    const { filter = "frame", possible = [] } = expected;
    expectSound(file, {
      ...expected,
      filter: `(${filter}) && !(${LINUX_HABITS})`,
      possible: dropped > 0 ? [...possible, ...PARTIAL] : possible,
    });
  }

  /** Ends the capture and removes its file. */
  async delete(): Promise<void> {
    const file = await this.end();
    if (file !== undefined && existsSync(file)) rmSync(join(file, ".."), { recursive: true });
  }
}
