/**
 * Runs one script against one stack, in virtual time: inbound packets, calls and commands happen when
 * they are due; an outbound packet is taken from what the stack has sent, or waited for.
 */
import { Mismatch } from "../language/errors.ts";
import type { CallSpec, Event, EventTime, PacketSpec, Script } from "../language/script.ts";
import { FLAG } from "../language/script.ts";
import { MalformedFrame, type LivePacket } from "../packets/live.ts";
import { beginCall } from "../sockets/calls.ts";
import { Descriptors, type CallContext } from "../sockets/descriptors.ts";
import { Network } from "../sockets/network.ts";
import type { Operation, Outcome } from "../sockets/outcome.ts";
import { errorName, symbolValue } from "../sockets/symbols.ts";
import { numberOf } from "../sockets/values.ts";
import { AssertionFailure, runCode, type Value } from "./code.ts";
import { Chronicle } from "./chronicle.ts";
import { Commands } from "./commands.ts";
import { ecnInfo } from "./ecn-info.ts";
import type { Flow } from "./flow.ts";
import { Flows } from "./flows.ts";
import { formatLive } from "./format.ts";
import { buildInbound } from "./inbound.ts";
import { mismatch, type Level, type MatchRules } from "./match.ts";
import { joined } from "./segments.ts";
import { dataplaneOptions, hostsOf, type Settings } from "./settings.ts";
import { applyPreamble } from "./shell.ts";
import { Stack } from "./stack.ts";
import { TcbView } from "./tcb.ts";
import { infoNames, optionBits } from "./tcp-info.ts";
import { dueOf, timeMismatch, toleranceOf, type Due } from "./time-check.ts";

/** Where the stack's clock stands when a script begins, µs. */
const START = 10_000_000;
/** How long an outbound packet is waited for beyond its time, µs. */
const PATIENCE = 2_000_000;
/** How long a call that the script does not call blocking may block, µs. */
const CALL_PATIENCE = 60_000_000;

export interface RunRules {
  readonly level: Level;
  /** Besides what packetdrill compares: echoes of timestamps, and packets left at the end. */
  readonly strict: boolean;
}

/** A blocking call under way. */
interface Blocked {
  readonly event: Event;
  readonly call: CallSpec;
  readonly operation: Operation;
  readonly begun: number;
  readonly due: Due;
  finished: { readonly outcome: Outcome; readonly at: number } | undefined;
}

export class Runner {
  readonly #script: Script;
  readonly #settings: Settings;
  readonly #rules: RunRules;
  readonly #kernel: WebAssembly.Module;
  readonly #variables = new Map<string, Value>();
  readonly #descriptors = new Descriptors();
  readonly #network = new Network();
  readonly #flows: Flows;
  readonly #chronicle = new Chronicle();
  #stack: Stack | undefined;
  #commands: Commands | undefined;
  #blocked: Blocked | undefined;
  /** Script time at which the event before was due. */
  #previous = 0;
  #index = 0;

  constructor(script: Script, settings: Settings, kernel: WebAssembly.Module, rules: RunRules) {
    this.#script = script;
    this.#settings = settings;
    this.#kernel = kernel;
    this.#rules = rules;
    this.#flows = new Flows(settings, hostsOf(settings));
  }

  /**
   * @throws {Mismatch} when the stack does something else than the script says
   * @throws {Unsupported} when the script uses what is not there
   */
  run(): void {
    if (this.#script.init !== undefined) applyPreamble(this.#settings, this.#script.init);
    for (const event of this.#script.events) {
      this.#run(event);
      this.#index++;
    }
    if (this.#blocked) this.#awaitBlocked(this.#blocked);
    if (this.#rules.strict) this.#checkLeftovers();
  }

  /** Script time, µs. */
  get #now(): number {
    return this.#stack ? this.#stack.now - START : 0;
  }

  /** The stack, made when the first event needs it: until then settings may change. */
  get #live(): Stack {
    if (!this.#stack) {
      const options = dataplaneOptions(this.#settings, this.#kernel);
      this.#stack = new Stack(options, START, this.#network, (now) => this.#settled(now));
      this.#settings.fastOpen.apply(this.#network.memory);
      this.#commands = new Commands(this.#settings, this.#stack);
    }
    return this.#stack;
  }

  /** The stack is quiet: what sockets and statistics want to see of it. */
  #settled(now: number): void {
    this.#network.settled(now);
    const { current } = this.#flows;
    const tcb = current && this.#tcbOf(current);
    const waits = this.#descriptors.waitsForRoom(tcb?.get("handle"));
    this.#chronicle.note(tcb, waits, now - START);
  }

  #run(event: Event): void {
    const { action } = event;
    try {
      if (action.kind === "packet" && !action.packet.inbound) this.#outbound(event, action.packet);
      else this.#atItsTime(event);
      this.#noteOptions();
    } catch (error) {
      if (error instanceof MalformedFrame) {
        throw new Mismatch(event.line, `the stack sent a malformed packet: ${error.message}`);
      }
      throw error;
    }
  }

  /** What the handshake has settled, for when the connection is gone. */
  #noteOptions(): void {
    const { current } = this.#flows;
    const tcb = this.#stack && current && this.#tcbOf(current);
    if (tcb) current.options = optionBits(tcb);
  }

  #atItsTime(event: Event): void {
    const { action, time, line } = event;
    if (time.kind === "any") throw new Mismatch(line, "only outbound packets may come at any time");
    if (action.kind === "call" && this.#blocked) this.#awaitBlocked(this.#blocked);
    const due = dueOf(time, this.#now)!;
    this.#advance(due.from);
    this.#checkTime(line, due, this.#now);
    switch (action.kind) {
      case "packet":
        return this.#inbound(event, action.packet);
      case "call":
        return this.#call(event, action.call, due);
      case "shell":
        return this.#shell(event, action.command);
      case "code":
        return this.#code(event, action.code);
    }
  }

  // -------------------------------------------------------------------------------------------
  // Time

  /** Runs the stack until script time `to`; a blocking call goes on meanwhile. */
  #advance(to: number): void {
    while (this.#now < to) this.#stepTowards(to);
  }

  /** One step of the stack, to its next deadline but not beyond script time `to`. */
  #stepTowards(to: number): void {
    const wake = this.#blocked ? this.#blocked.operation.deadline - START : Infinity;
    const target = wake > this.#now && wake < to ? wake : to;
    this.#live.step(target + START);
    this.#pollBlocked();
  }

  #checkTime(line: number, due: Due, actual: number, expected?: string, found?: string): void {
    const tolerance = toleranceOf(this.#settings, due.from - this.#previous);
    const wrong = timeMismatch(due, actual, tolerance);
    if (wrong !== undefined) throw new Mismatch(line, wrong, expected, found);
    this.#previous = due.from;
  }

  // -------------------------------------------------------------------------------------------
  // Packets

  #inbound(event: Event, packet: PacketSpec): void {
    const stack = this.#live;
    const flow = this.#flows.inbound(packet);
    if (packet.body.kind === "tcp") flow.ecn.note(packet.body.flags);
    const { level } = this.#rules;
    stack.receive(buildInbound(packet, flow, this.#settings, level, event.line));
    this.#network.polled();
    noteAcknowledged(flow, packet);
    this.#pollBlocked();
  }

  #outbound(event: Event, packet: PacketSpec): void {
    const { line, text } = event;
    const flow = this.#flows.outbound(packet);
    if (!flow) throw new Mismatch(line, "no packet can come: no socket is under test", text);
    const due = dueOf(event.time, this.#now);
    const until = due ? due.to + PATIENCE : Infinity;
    const live = this.#gather(this.#next(flow, until, event), packet, flow, until, event);
    const found = formatLive(live, flow, START);
    if (packet.body.kind === "tcp") flow.learn(live, packet.body);
    const wrong = mismatch(live, packet, flow, this.#matchRules(due?.from ?? this.#now), line);
    if (wrong !== undefined) {
      throw new Mismatch(line, wrong, text, formatLive(live, flow, START));
    }
    if (packet.body.kind === "tcp") flow.noteTimestamps(live, packet.body);
    const at = live.at - START;
    if (due) this.#checkTime(line, due, at, text, found);
    else this.#previous = at;
  }

  /** The rules for a packet that is due at `time`: how far timestamps may be off grows from the script's begin. */
  #matchRules(time: number): MatchRules {
    const timestampTolerance = toleranceOf(this.#settings, time);
    return { ...this.#rules, timestampTick: this.#settings.timestampTick, timestampTolerance };
  }

  /** The stack's next packet on the flow; packets of others are dropped. */
  #next(flow: Flow, until: number, event: Event): LivePacket {
    const packet = this.#take(flow, until);
    if (packet) return packet;
    throw new Mismatch(event.line, "timed out waiting for packet", event.text, "nothing");
  }

  #take(flow: Flow, until: number): LivePacket | undefined {
    const stack = this.#live;
    for (;;) {
      const packet = stack.sent.shift();
      if (packet) {
        if (!flow.owns(packet)) continue;
        noteSent(flow, packet);
        return packet;
      }
      if (this.#now >= until || stack.deadline === Infinity) return undefined;
      this.#stepTowards(Math.min(until, stack.deadline - START));
    }
  }

  /** Puts segments together until they are as long as the script says. */
  #gather(
    first: LivePacket,
    packet: PacketSpec,
    flow: Flow,
    until: number,
    event: Event,
  ): LivePacket {
    const { body } = packet;
    if (this.#settings.strictSegments || body.kind !== "tcp" || first.body.kind !== "tcp") {
      return first;
    }
    const size = first.body.payload.length;
    let row = first;
    let length = size;
    while (size > 0 && length < body.length && !(first.body.flags & FLAG.SYN)) {
      const next = this.#take(flow, until);
      const longer = next && joined(row, next, size, flow.ecn.ofFirst);
      if (!longer) {
        const found = [row, ...(next ? [next] : [])].map((one) => formatLive(one, flow, START));
        throw new Mismatch(event.line, `length is ${length}`, event.text, found.join(", then "));
      }
      row = longer;
      length += next.body.kind === "tcp" ? next.body.payload.length : 0;
    }
    return row;
  }

  #checkLeftovers(): void {
    const { current } = this.#flows;
    const left = current && this.#live.sent.find((packet) => current.owns(packet));
    if (!left) return;
    const { line } = this.#script.events.at(-1)!;
    throw new Mismatch(line, "a packet is left", "nothing", formatLive(left, current, START));
  }

  // -------------------------------------------------------------------------------------------
  // System calls

  #call(event: Event, call: CallSpec, due: Due): void {
    const operation = beginCall(call, this.#context);
    const begun = this.#now;
    const base = event.time.kind === "relative" ? due.from - event.time.from : 0;
    const returns = call.returns && shifted(call.returns, base);
    const blocked: Blocked = {
      event,
      call,
      operation,
      begun,
      due: returns ?? { from: begun, to: begun },
      finished: undefined,
    };
    this.#blocked = blocked;
    this.#pollBlocked();
    this.#live.settle();
    if (!call.returns) this.#awaitBlocked(blocked);
  }

  #pollBlocked(): void {
    const blocked = this.#blocked;
    if (!blocked || blocked.finished) return;
    const outcome = blocked.operation.attempt();
    if (!outcome) return;
    blocked.finished = { outcome, at: this.#now };
    this.#live.settle();
  }

  /** Waits for the call's end, and holds its result and its time against the script. */
  #awaitBlocked(blocked: Blocked): void {
    const { event, call, begun, due } = blocked;
    const patience = call.returns ? due.to + PATIENCE : begun + CALL_PATIENCE;
    while (!blocked.finished && this.#now < patience) this.#stepTowards(patience);
    this.#blocked = undefined;
    const { finished } = blocked;
    if (!finished) throw new Mismatch(event.line, "the call blocks", event.text, "no return");
    this.#checkResult(event, call, finished.outcome);
    if (!call.returns) return;
    const tolerance = toleranceOf(this.#settings, due.from - begun);
    const wrong = timeMismatch(due, finished.at, tolerance);
    if (wrong !== undefined) throw new Mismatch(event.line, wrong, event.text, "another time");
  }

  #checkResult(event: Event, call: CallSpec, outcome: Outcome): void {
    const { result, errno, wrong } = outcome;
    const shown = errno === undefined ? `${result}` : `${result} ${errorName(errno)}`;
    const fail = (reason: string): never => {
      throw new Mismatch(event.line, reason, event.text, `${call.name}() = ${shown}`);
    };
    if (call.result.kind !== "ellipsis" && numberOf(call.result) !== result) {
      fail(`result is ${shown}`);
    } else if (call.errno !== undefined && errno !== symbolValue(call.errno)) {
      fail(`error is ${errno === undefined ? "none" : errorName(errno)}`);
    } else if (wrong !== undefined) {
      fail(wrong);
    }
  }

  get #context(): CallContext {
    const { bindPort, connectPort, dialect } = this.#settings;
    const { sendBuffer, receiveBuffer, notSentLowWater } = this.#settings;
    const hosts = hostsOf(this.#settings);
    const stack = this.#live;
    return {
      network: this.#network,
      files: this.#settings.files,
      descriptors: this.#descriptors,
      local: { ip: hosts.local, port: bindPort },
      remote: { ip: hosts.remote, port: connectPort },
      habits: {
        sendBuffer,
        receiveBuffer,
        notSentLowWater,
        wholeSegments: dialect === "nplab",
        resetAfterEnd: dialect === "nplab" ? "ECONNRESET" : "EPIPE",
        fastOpen: this.#settings.fastOpen,
      },
      now: () => stack.now,
      start: START,
      tolerance: this.#settings.toleranceMicros,
      made: (socket) => this.#flows.made(socket),
      connecting: (socket, remote) => this.#flows.connecting(socket, remote),
    };
  }

  // -------------------------------------------------------------------------------------------
  // Commands and code

  #shell(event: Event, command: string): void {
    if (!this.#stack) {
      applyPreamble(this.#settings, command);
      return;
    }
    const { current } = this.#flows;
    const gone = current !== undefined && !this.#tcbOf(current);
    this.#commands!.run(event, command, gone, !this.#expectsMore());
  }

  /** Whether anything that settings could bear on follows. */
  #expectsMore(): boolean {
    return this.#script.events
      .slice(this.#index + 1)
      .some(({ action }) => action.kind === "packet" || action.kind === "code");
  }

  #code(event: Event, code: string): void {
    const { current } = this.#flows;
    const tcb = this.#stack && current && this.#tcbOf(current);
    const times = this.#chronicle.timesAt(this.#now);
    const info = tcb && this.#network.info(tcb.get("handle") ?? 0);
    const names = infoNames(tcb, this.#flows.listening, times, current, (name) =>
      ecnInfo(name, info ?? null, current?.delivered.echoed ?? 0),
    );
    try {
      runCode(code, this.#variables, names);
    } catch (error) {
      if (!(error instanceof AssertionFailure)) throw error;
      throw new Mismatch(event.line, `assertion fails: ${error.message}`, event.text, "false");
    }
  }

  #tcbOf(flow: Flow): TcbView | undefined {
    return TcbView.all(this.#network.memory).find(
      (tcb) => tcb.localPort === flow.localPort && tcb.remotePort === flow.remotePort,
    );
  }
}

function noteSent(flow: Flow, { body }: LivePacket): void {
  if (body.kind !== "tcp") return;
  flow.ecn.note(body.flags);
  const isFin = (body.flags & FLAG.FIN) !== 0;
  const length = body.payload.length + (isFin ? 1 : 0);
  flow.delivered.sent(body.seq, length, (body.flags & FLAG.SYN) !== 0);
}

function noteAcknowledged(flow: Flow, { body }: PacketSpec): void {
  if (body.kind !== "tcp" || !(body.flags & FLAG.ACK)) return;
  const isSyn = (body.flags & FLAG.SYN) !== 0;
  const echo = !isSyn && (body.flags & FLAG.ECE) !== 0;
  flow.delivered.acknowledged(undefined, flow.localAck(body), isSyn, echo);
  for (const option of body.options === "any" ? [] : body.options) {
    if (option.kind !== "sack") continue;
    for (const [left, right] of option.blocks) {
      const base = flow.localBase;
      flow.delivered.acknowledged((left + base) >>> 0, (right + base) >>> 0, false, echo);
    }
  }
}

/** The end of a call is written as its begin is: relative to the same moment. */
function shifted(time: EventTime, base: number): Due | undefined {
  return time.kind === "any" ? undefined : { from: base + time.from, to: base + time.to };
}
