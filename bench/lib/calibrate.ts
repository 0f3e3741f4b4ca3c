/**
 * What work costs on this machine, as a `CostModel`: the stages of an echo, measured with short and with
 * long messages, shared out to the packets, bytes, calls and events that they are made of. How long an
 * idle core spins and how long it takes to wake is not measured but the reference model's.
 */
import { measureStages } from "../echo/stages.ts";
import { realClock, REFERENCE_COSTS } from "../../host/node/index.ts";
import type { CostModel } from "../../host/node/index.ts";
import { createPair } from "./pair.ts";

/** Bytes of Ethernet, IP and TCP headers. */
const HEADERS = 54;
const SHORT = 64;
const LONG = 960;
const ECHO = { conns: 512, pipeline: 1, rounds: 0, cores: 1, batch: 64 };
const IDLE_POLLS = 500_000;

/** Measures for some seconds; meant for a process of its own, on a machine that does nothing else. */
export function calibrate(): CostModel {
  const short = perPacket(measureStages({ ...ECHO, size: SHORT }));
  const long = perPacket(measureStages({ ...ECHO, size: LONG }));
  const perByte = (name: keyof typeof short): number =>
    Math.max((long[name] - short[name]) / (LONG - SHORT), 0);
  const byteIn = perByte("packetIn");
  const byteOut = perByte("packetOut");
  const bytes = SHORT + HEADERS;
  return {
    ...REFERENCE_COSTS,
    poll: pollCost(),
    packetIn: Math.max(short.packetIn - byteIn * bytes, 0),
    byteIn,
    packetOut: Math.max(short.packetOut - byteOut * bytes, 0),
    byteOut,
    call: short.call,
    event: short.event,
  };
}

/**
 * Stages of a message are of both ends; each end receives a packet, sends one, and has one event and two
 * calls, `send` and `recvDone`.
 */
function perPacket(stages: Record<string, number>) {
  const { nic, receive, tcp, app, send } = stages;
  return {
    packetIn: (receive + tcp) / 2,
    packetOut: nic / 2,
    event: app / 2,
    call: send / 4,
  };
}

/** Nanoseconds of an iteration that finds nothing. */
function pollCost(): number {
  const { server } = createPair();
  const [core] = server.cores;
  const clock = realClock();
  const now = clock();
  core.attach(now);
  const poll = (polls: number): void => {
    for (let i = 0; i < polls; i++) core.poll(now + i / 10);
  };
  poll(IDLE_POLLS);
  const begin = performance.now();
  poll(IDLE_POLLS);
  return ((performance.now() - begin) * 1e6) / IDLE_POLLS;
}
