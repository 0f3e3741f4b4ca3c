/**
 * The kernel's entry points, and nothing else. Times are µs as a double, from any fixed origin that
 * all callers of a dataplane share.
 */
import {
  ABI_VERSION,
  BUFFER_SIZE,
  CACHE_LINE,
  CFG_ABI,
  CFG_CORES,
  FAST_OPEN_ENTRY_SIZE,
  LISTENER_SIZE,
  NEIGHBOUR_SIZE,
  PACKET_SIZE,
  QUEUE_SIZE,
  RC_INVAL,
  RC_NOTSUP,
  RC_OK,
  TCB_ACCECN_SIZE,
  TCB_COLD_SIZE,
  TCB_HOT_SIZE,
  UDP_PORT_SIZE,
} from "./abi";
import { bindConfig, config } from "./core/config";
import { calls, iterate, protocols, take, timers, transmit } from "./core/iteration";
import { beginMetrics, bindMetrics, prepareMetrics } from "./core/metrics";
import { Packet } from "./core/packet";
import { bindReceive } from "./core/receive";
import { clearState, enterKernel, leaveKernel } from "./core/state";
import { steeredAway } from "./flow/departure";
import { bindGroups, prepareGroups } from "./flow/groups";
import { Message } from "./flow/mailbox";
import { bindMigration } from "./flow/migration";
import { rescueCore } from "./flow/rescue";
import { bindBuffers, Buffer, prepareBuffers } from "./mem/buffers";
import { bindSlots, prepareSlots } from "./mem/slots";
import { bindGroupTable, prepareGroupTable } from "./net/groups";
import { bindIcmpErrors, prepareIcmpErrors } from "./net/icmp-errors";
import { bindInput } from "./net/input";
import { bindInterface, prepareInterface } from "./net/interface";
import { bindNetState, clearNetState } from "./net/net-state";
import { bindPathMtu } from "./net/path-mtu";
import { bindRandom, prepareRandom } from "./net/random";
import { bindRouters, prepareRouters } from "./net/routers";
import { bindNeighbours, Neighbour, prepareNeighbours } from "./net/neighbours";
import { bindLearned } from "./net/learned";
import { bindRoutes, prepareRoutes } from "./net/routes";
import { bindToeplitz } from "./net/toeplitz";
import { bindUdp } from "./net/udp";
import { bindUdpOutput } from "./net/udp-output";
import { bindUdpPorts, prepareUdpPorts, UdpPort } from "./net/udp-ports";
import { bindRings, prepareRings, Queue } from "./nic/rings";
import { Accecn, bindAccecn } from "./tcp/accecn";
import { bindAgenda } from "./tcp/agenda";
import { bindChallenges } from "./tcp/challenge";
import { Bbr } from "./tcp/bbr";
import { Cubic } from "./tcp/cubic";
import { Dctcp } from "./tcp/dctcp";
import { bindEmit } from "./tcp/emit";
import { bindEnds } from "./tcp/end";
import { KnownServer } from "./tcp/fast-open-cache";
import { bindListeners, Listener } from "./tcp/listeners";
import { bindPorts } from "./tcp/ports";
import { bindTcbs, CONTROL_STATE_SIZE, Tcb, TcbCold } from "./tcp/tcb";
import { bindTcbPool, prepareTcbs } from "./tcp/tcb-pool";
import { bindTuples } from "./tcp/tuple";
import { setNow } from "./time/clock";
import { bindWheel, prepareWheel } from "./time/wheel";
import { bindEvents } from "./user/events";
import { runSyscalls } from "./user/syscalls";
import { bindUserTimers } from "./user/timers";
// The release build's abort (asconfig.json), which must be part of the program to be used.
import "./trap";

export { announce } from "./net/arp";
export { addNeighbour } from "./net/neighbours";
export { addRoute, removeRoute } from "./net/routes";
export { forget } from "./user/forget";

/**
 * Prepares what all cores of a dataplane share; once, before any `attach`. RC_NOTSUP when the host was
 * built for another ABI, RC_INVAL when a record does not have the size that abi.ts gives it.
 */
export function initialize(now: f64): i32 {
  bindConfig(0);
  if (config(CFG_ABI) != ABI_VERSION) return RC_NOTSUP;
  if (!recordsFit()) return RC_INVAL;
  setNow(now);
  prepareGroups(config(CFG_CORES));
  prepareRoutes();
  prepareNeighbours();
  return RC_OK;
}

/**
 * Binds this instance to a core's control block for the first time in its life: prepares the core's
 * state and gives the NIC empty frames.
 */
export function attach(core: u32, now: f64): i32 {
  if (core >= config(CFG_CORES)) return RC_INVAL;
  setNow(now);
  bind(core);
  clearState();
  prepareWheel();
  prepareBuffers();
  prepareTcbs();
  prepareIcmpErrors();
  prepareUdpPorts();
  prepareMetrics();
  prepareRings();
  prepareSlots();
  clearNetState();
  prepareRandom();
  prepareGroupTable();
  prepareInterface();
  prepareRouters();
  return RC_OK;
}

/**
 * Binds this instance to a core that another one was attached to and has left between two polls: all
 * state stays as it is. RC_NOTSUP when that one was of another ABI.
 */
export function adopt(core: u32, now: f64): i32 {
  if (config(CFG_ABI) != ABI_VERSION) return RC_NOTSUP;
  if (core >= config(CFG_CORES)) return RC_INVAL;
  setNow(now);
  bind(core);
  return RC_OK;
}

/**
 * Binds this instance to a core whose thread is gone, wherever that was, and mends its state, so that
 * `poll` and `steered` can give its flow groups to others (COMMAND_MIGRATE, until the core owns none).
 * What application it had hears nothing; the core sends nothing any more.
 */
export function rescue(core: u32, now: f64): i32 {
  const code = adopt(core, now);
  if (code == RC_OK) rescueCore();
  return code;
}

/** The ABI that this module was built for, to be compared before anything is touched. */
export function abiVersion(): u32 {
  return ABI_VERSION;
}

/** One iteration; returns the number of events in the array. */
export function poll(now: f64): u32 {
  enterKernel();
  const events = iterate(now);
  leaveKernel();
  return events;
}

/** Runs the system calls alone, for an application whose array is full in mid-round. */
export function dispatch(now: f64): void {
  enterKernel();
  setNow(now);
  runSyscalls();
  leaveKernel();
}

/**
 * The host has rewritten the RETA, as REQUEST_STEER asked: none of the groups' packets comes to this
 * core's queues any more. RC_INVAL when nothing of the kind was asked for.
 */
export function steered(now: f64): i32 {
  setNow(now);
  return steeredAway();
}

/**
 * One part of an iteration, for profiling: 0 system calls, 1 transmit, 2 receive, 3 protocols,
 * 4 timers; in this order they are one `poll`. Part 4 returns the number of events.
 */
export function stage(part: u32, now: f64): u32 {
  setNow(now);
  switch (part) {
    case 0:
      beginMetrics(now);
      calls();
      return 0;
    case 1:
      transmit();
      return 0;
    case 2:
      take();
      return 0;
    case 3:
      protocols();
      return 0;
    default:
      return timers();
  }
}

/** Points everything to a core's part of the memory. */
function bind(core: u32): void {
  bindConfig(core);
  bindEvents();
  bindWheel();
  bindBuffers();
  bindSlots();
  bindUserTimers();
  bindToeplitz();
  bindGroups();
  bindTcbs();
  bindTcbPool();
  bindTuples();
  bindAccecn();
  bindListeners();
  bindAgenda();
  bindEnds();
  bindChallenges();
  bindEmit();
  bindPorts();
  bindRoutes();
  bindNeighbours();
  bindLearned();
  bindInput();
  bindIcmpErrors();
  bindNetState();
  bindRandom();
  bindPathMtu();
  bindInterface();
  bindRouters();
  bindGroupTable();
  bindUdpPorts();
  bindUdpOutput();
  bindUdp();
  bindReceive();
  bindMetrics();
  bindRings();
  bindMigration();
}

function recordsFit(): bool {
  return (
    offsetof<Tcb>() == TCB_HOT_SIZE &&
    offsetof<TcbCold>() <= TCB_COLD_SIZE - CONTROL_STATE_SIZE &&
    offsetof<Bbr>() <= CONTROL_STATE_SIZE &&
    offsetof<Cubic>() <= CONTROL_STATE_SIZE &&
    offsetof<Dctcp>() <= CONTROL_STATE_SIZE &&
    offsetof<Accecn>() <= TCB_ACCECN_SIZE &&
    offsetof<Buffer>() == BUFFER_SIZE &&
    offsetof<Packet>() <= PACKET_SIZE &&
    offsetof<Queue>() <= QUEUE_SIZE &&
    offsetof<Listener>() <= LISTENER_SIZE &&
    offsetof<KnownServer>() <= FAST_OPEN_ENTRY_SIZE &&
    offsetof<Neighbour>() <= NEIGHBOUR_SIZE &&
    offsetof<Message>() <= CACHE_LINE &&
    offsetof<UdpPort>() <= UDP_PORT_SIZE
  );
}
