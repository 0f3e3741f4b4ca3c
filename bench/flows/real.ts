/**
 * One flow over an emulated link in real time, from Linux or from a dataplane, to the same receiver:
 *
 *   Linux ── TAP ══ link ══ receiver        sender ══ link ══ receiver
 *
 * Linux's end is in a network namespace of its own, which whoever asks for the measurement makes.
 */
import { execFileSync, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createDataplane, InlineRunner, openTap } from "../../host/node/index.ts";
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import { createPair, SERVER_IP } from "../lib/pair.ts";
import { createRepeater } from "../lib/repeater.ts";
import { FlowReceiver, FlowSender, PORT } from "./apps.ts";
import { dimensions, linkOf } from "./simulate.ts";
import type { Scenario } from "./simulate.ts";

/** Who sends. */
export type Sender = "linux" | "ixwasm";

export interface RealTask {
  readonly sender: Sender;
  /** Where Linux's end is. */
  readonly namespace: string;
  readonly scenario: Scenario;
}

export interface RealOutcome {
  /** Payload, bits a second, as the receiver took it. */
  readonly goodput: number;
}

const SCRIPT = fileURLToPath(new URL("linux-sender.js", import.meta.url));
const LINUX_IP = "10.0.0.100";
const NETWORK = "10.0.0.0/24";
const DEVICE = "tap0";
/** What Linux calls them. */
const LINUX_CONTROLS = { newreno: "reno", cubic: "cubic", dctcp: "dctcp", bbr: "bbr" };

/** Why Linux cannot be measured here; undefined when it can. */
export function whyNoLinux(): string | undefined {
  if (process.platform !== "linux") return "it is another system";
  if (process.getuid?.() !== 0) return "making a network namespace needs root";
  try {
    execFileSync("ip", ["-V"], { stdio: "ignore" });
  } catch {
    return "ip (iproute2) is not installed";
  }
  return undefined;
}

export function measureReal({ sender, namespace, scenario }: RealTask): RealOutcome {
  return sender === "linux" ? measureLinux(namespace, scenario) : measureOwn(scenario);
}

function measureOwn(scenario: Scenario): RealOutcome {
  const { flight, link } = linkOf(scenario);
  const pair = createPair(dimensions(flight, scenario), link);
  const receiver = new FlowReceiver();
  const runner = new InlineRunner({ clock: "real" });
  const controls = scenario.controls.map((name) => CONGESTION_CONTROLS.indexOf(name) + 1);
  runner.add(pair.server, { wire: pair.serverWire, app: () => receiver });
  runner.add(pair.client, { wire: pair.clientWire, app: () => new FlowSender(controls) });
  return measured(runner, receiver, scenario);
}

function measureLinux(namespace: string, scenario: Scenario): RealOutcome {
  const { flight, link } = linkOf(scenario);
  const tap = openTap({ name: DEVICE, namespace, address: `${LINUX_IP}/24` });
  tune(namespace, scenario, flight);
  const options = { ...dimensions(flight, scenario), offloads: tap.offloads };
  const dataplane = createDataplane({ name: "receiver", ip: `${SERVER_IP}/24`, ...options });
  const receiver = new FlowReceiver();
  const runner = new InlineRunner({ clock: "real" });
  const backend = (port: typeof dataplane.port) => createRepeater(port, tap, link);
  runner.add(dataplane, { backend, app: () => receiver });
  const program = ["netns", "exec", namespace, process.execPath, SCRIPT, SERVER_IP, `${PORT}`];
  // Its stdin ends with this process, and it with that.
  const child = spawn("ip", program, { stdio: ["pipe", "ignore", "ignore"] });
  try {
    return measured(runner, receiver, scenario);
  } finally {
    child.kill("SIGKILL");
    tap.close();
  }
}

/**
 * Congestion control of what goes out there, and buffers that hold what the path does. By route, since only
 * the machine's own namespace may make any control its default.
 */
function tune(namespace: string, { controls }: Scenario, flight: number): void {
  const control = LINUX_CONTROLS[controls[0]];
  const route = ["route", "replace", NETWORK, "dev", DEVICE, "congctl", control];
  execFileSync("ip", ["-n", namespace, ...route]);
  const most = Math.max(4 << 20, 4 * Math.ceil(flight));
  const buffers = `echo 4096 65536 ${most} > /proc/sys/net/ipv4/tcp_wmem`;
  execFileSync("ip", ["netns", "exec", namespace, "sh", "-c", buffers]);
  // Linux's own queue shall drop nothing: the link does.
  execFileSync("ip", ["-n", namespace, "link", "set", DEVICE, "txqueuelen", "100000"]);
}

function measured(runner: InlineRunner, receiver: FlowReceiver, scenario: Scenario): RealOutcome {
  const { warmup, seconds } = scenario;
  runner.run({ forMicros: warmup * 1e6 });
  const before = receiver.received;
  const begin = performance.now();
  runner.run({ forMicros: seconds * 1e6 });
  const took = (performance.now() - begin) / 1000;
  runner.close();
  return { goodput: ((receiver.received - before) * 8) / took };
}
