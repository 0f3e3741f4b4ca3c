/** `ixwasm capture`: what a run sends and receives, as pcapng. */
import type { Command } from "commander";
import { open, type FileHandle } from "node:fs/promises";
import { decimal, integer } from "../arguments.ts";
import type { CaptureResult } from "../capture-session.ts";
import { withRun, type ControlClient } from "../control-client.ts";
import { CliError } from "../errors.ts";
import { OutputClosed, write } from "../output.ts";
import { interruption } from "../signals.ts";
import { grouped } from "../table.ts";
import { clientCommand, targetOf, type TargetOptions } from "./target.ts";

const EXAMPLES = `  ixwasm capture run.pcapng                  until Ctrl-C
  ixwasm capture run.pcapng --seconds 2      two seconds
  ixwasm capture run.pcapng --packets 100    a hundred frames
  ixwasm capture - | tshark -r -             to standard output
`;

interface CaptureOptions extends TargetOptions {
  readonly seconds?: number;
  readonly packets?: number;
  readonly snap?: number;
}

export function captureCommand(): Command {
  return clientCommand("capture", EXAMPLES)
    .description("Writes the frames that a run's NIC sends and receives to a pcapng file.")
    .argument("<file>", "file to write, or - for standard output")
    .option("--seconds <n>", "end after so many seconds", decimal(0.001, 1e9))
    .option("--packets <n>", "end after so many frames", integer(1, 1e12))
    .option("--snap <bytes>", "keep so many bytes of each frame (default: all)", integer(14, 65535))
    .action(capture);
}

async function capture(file: string, options: CaptureOptions): Promise<void> {
  const { signal, release } = interruption();
  try {
    await withRun(targetOf(options), async (run) => {
      const { frames, dropped } = await record(run, file, options, signal);
      const lost = dropped > 0 ? `, ${grouped(dropped)} more found no room and are missing` : "";
      process.stderr.write(`${grouped(frames)} frames${lost}\n`);
    });
  } finally {
    release();
  }
}

/** Captures until the limit is reached, or `signal` is aborted; all is written when it returns. */
async function record(
  run: ControlClient,
  file: string,
  { seconds, packets, snap }: CaptureOptions,
  signal: AbortSignal,
): Promise<CaptureResult> {
  const output = new Output(file, run);
  const end = (): void => void run.request("endCapture").catch(() => {});
  signal.addEventListener("abort", end);
  try {
    const limits = { seconds, frames: packets, snapLength: snap };
    const captured = run.request<CaptureResult>("capture", limits, (bytes) => output.put(bytes));
    // Told to end before there was anything to end.
    if (signal.aborted) end();
    // Whichever fails first: the run, or writing.
    return await Promise.race([captured, output.failed]);
  } finally {
    signal.removeEventListener("abort", end);
    await output.close();
  }
}

/** Chunks that wait to be written at most; more are left to wait in the run. */
const MAX_WAITING = 16;

/** The file, which is made when there is something to write to it; or standard output. */
class Output {
  /** Never fulfilled; rejected when the file cannot be written. */
  readonly failed: Promise<never>;
  readonly #name: string;
  readonly #run: ControlClient;
  #fail!: (error: Error) => void;
  #file: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(name: string, run: ControlClient) {
    this.#name = name;
    this.#run = run;
    this.failed = new Promise((_, reject) => (this.#fail = reject));
    // Whoever writes last may not wait for it any more.
    this.failed.catch(() => {});
  }

  /** Writes the bytes behind all that were put before. */
  put(bytes: Uint8Array): void {
    if (++this.#waiting > MAX_WAITING) this.#run.pause();
    this.#writing = this.#writing
      .then(() => this.#write(bytes))
      .catch((cause: Error) => {
        const isClosed = cause instanceof OutputClosed;
        const message = `cannot write ${this.#name}: ${cause.message}`;
        this.#fail(isClosed ? cause : new CliError(message, { cause }));
      })
      .finally(() => {
        if (--this.#waiting === 0) this.#run.resume();
      });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#name === "-") return write(bytes);
    this.#file ??= await open(this.#name, "w");
    await this.#file.write(bytes);
  }
}
