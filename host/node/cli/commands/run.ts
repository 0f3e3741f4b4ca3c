/** `ixwasm run`: a dataplane with an application, until it is stopped. */
import { Command } from "commander";
import { inspect } from "node:util";
import type { Incident } from "../../../control/watchdog.ts";
import { EXIT_HUNG_UP, EXIT_INTERRUPTED } from "../errors.ts";
import { incidentText } from "../incidents.ts";
import { write } from "../output.ts";
import { Run } from "../run.ts";
import { onSignalToEnd } from "../signals.ts";
import { addRunOptions, refuseContradictions, type RunFlags } from "./run-flags.ts";
import { planRun } from "./run-plan.ts";

const EXAMPLES = `
Examples:
  ixwasm run                                     echo, with a client that sends 10 000 messages a second
  ixwasm run --cores 2 --load-rate 0             two cores, as much load as they take
  ixwasm run --metrics 9464                      Prometheus' text form at http://127.0.0.1:9464/metrics
  ixwasm run app.js --load --port 80             an application of your own, with the same load
  sudo ixwasm run --tap tap0 --host 10.9.0.1/24  echo for Linux: nc 10.9.0.2 7

An application is a module whose default export makes an App (see "Applications" in the README); what
it posts is printed.
While it runs, ixwasm top, stats and capture show what it does. SIGTERM ends it with exit code 0,
Ctrl-C with 130.
`;

/** Exit codes after a run that a signal has ended; it was asked to end by SIGTERM, and did. */
const EXIT_CODES: Partial<Record<NodeJS.Signals, number>> = {
  SIGINT: EXIT_INTERRUPTED,
  SIGHUP: EXIT_HUNG_UP,
};

export function runCommand(version: string): Command {
  const command = new Command("run")
    .description("Runs an application on a dataplane, on emulated NICs or a TAP device.")
    .addHelpText("after", EXAMPLES)
    .action((app: string | undefined, flags: RunFlags) => run(app, flags, version));
  addRunOptions(command);
  return command;
}

async function run(app: string | undefined, flags: RunFlags, version: string): Promise<void> {
  refuseContradictions(app, flags);
  const ending = untilToldToEnd(flags.duration);
  const running = await Run.start({
    ...planRun(app, flags),
    version,
    onIncident: printIncident,
    onMessage: printMessage,
  });
  try {
    await write(`${introduction(running, flags)}\n`);
    await Promise.race([running.done, ending]);
  } finally {
    await running.stop();
  }
  await running.done;
}

/** Fulfilled by a signal, which decides on the exit code, or when the time is over. */
function untilToldToEnd(duration: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    onSignalToEnd((signal) => {
      process.exitCode = EXIT_CODES[signal] ?? 0;
      resolve();
    });
    if (duration !== undefined) setTimeout(resolve, duration * 1000).unref();
  });
}

function printIncident(incident: Incident): void {
  const text = incidentText(incident);
  if (text !== undefined) process.stderr.write(`${text}\n`);
}

/** Prints what an application posts. */
function printMessage(message: unknown, core: number): void {
  const text = typeof message === "string" ? message : inspect(message, { breakLength: Infinity });
  // Who has stopped to read the output does not stop the run.
  write(`core ${core}: ${text}\n`).catch(() => {});
}

/** What a run says when it has started. */
function introduction(running: Run, flags: RunFlags): string {
  const { name, app, ip, nic, cores } = running.snapshot();
  const threads = cores.length === 1 ? "one core" : `${cores.length} cores`;
  const lines = [`${name}: ${app} at ${ip}, ${threads}, NIC: ${nic}`];
  if (running.metricsUrl !== undefined) lines.push(`metrics: ${running.metricsUrl}`);
  const how = flags.duration === undefined ? "Ctrl-C ends it" : `it ends in ${flags.duration} s`;
  lines.push(`control socket: ${running.socket}; ${how}`);
  return lines.join("\n");
}
