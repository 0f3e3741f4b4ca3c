/**
 * Receive-side scaling for a TAP of several queues. By itself the driver sends a flow to the queue
 * that last sent something of it, which is no promise; a dataplane needs every flow group on the queue
 * of the core that owns it. So the driver is given an eBPF program that does what an RSS NIC does:
 * the Toeplitz hash of addresses and ports, its low seven bits an index into the RETA, an eBPF array
 * that can be rewritten at any time. What is no IP packet goes where flow group 0 goes.
 *
 * See Documentation/bpf/standardization/instruction-set.rst in the Linux tree, bpf(2), and
 * host/nic/rss.ts for the hash.
 */
import { closeSync } from "node:fs";
import { FLOW_GROUPS } from "../../assembly/abi.ts";
import { TOEPLITZ_KEY } from "../nic/rss.ts";
import { errorName, TapError } from "./tap-errors.ts";
import { EACCES, EPERM, libc } from "./tap-libc.ts";

const TUNSETSTEERINGEBPF = 0x800454e0;

const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_PROG_LOAD = 5;
const BPF_MAP_TYPE_ARRAY = 2;
const BPF_PROG_TYPE_SOCKET_FILTER = 1;
const MAP_LOOKUP_ELEM = 1;

/** Offsets in a frame. */
const ETHERTYPE = 12;
const IPV4 = 14;
const IPV4_FRAGMENT = 20;
const IPV4_PROTOCOL = 23;
const IPV4_ADDRESSES = 26;
const IPV6_NEXT_HEADER = 20;
const IPV6_ADDRESSES = 22;
const IPV6_PORTS = 54;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const FRAGMENT_BITS = 0x3fff;
const TCP = 6;
const UDP = 17;

/**
 * How long, µs, a frame that was steered before a change of the RETA may still be on its way to its old
 * queue: Linux does not say when none is (IX waits as long).
 */
export const STEERING_GRACE = 1000;

/** The RETA of a multi-queue TAP; a file descriptor, so any thread of the process can have one. */
export class Steering {
  /** File descriptor of the table. */
  readonly fd: number;
  readonly #queues: number;

  /** The table at `fd`, of an interface that has this many queues. */
  constructor(fd: number, queues: number) {
    this.fd = fd;
    this.#queues = queues;
  }

  /**
   * Makes a table and installs the program that follows it. `tap` is any queue of the interface; flow
   * group g begins on queue g modulo `queues`.
   */
  static install(tap: number, queues: number): Steering {
    const fd = bpf(BPF_MAP_CREATE, "make a table", (attributes) => {
      attributes.setUint32(0, BPF_MAP_TYPE_ARRAY, true);
      attributes.setUint32(4, 4, true);
      attributes.setUint32(8, 4, true);
      attributes.setUint32(12, FLOW_GROUPS, true);
    });
    const steering = new Steering(fd, queues);
    try {
      for (let group = 0; group < FLOW_GROUPS; group++) steering.steer(group, group % queues);
      install(tap, loadProgram(steeringProgram(fd)));
    } catch (error) {
      steering.close();
      throw error;
    }
    return steering;
  }

  /** Sends what belongs to a flow group to another queue from now on. */
  steer(group: number, queue: number): void {
    if (!Number.isInteger(group) || group < 0 || group >= FLOW_GROUPS) {
      throw new RangeError(`group must be from 0 to ${FLOW_GROUPS - 1}, not ${group}`);
    }
    if (!Number.isInteger(queue) || queue < 0 || queue >= this.#queues) {
      throw new RangeError(`queue must be from 0 to ${this.#queues - 1}, not ${queue}`);
    }
    const entry = new Uint32Array(new SharedArrayBuffer(8));
    entry[0] = group;
    entry[1] = queue;
    const key = libc().address(new Uint8Array(entry.buffer));
    bpf(BPF_MAP_UPDATE_ELEM, "change a table", (attributes) => {
      attributes.setUint32(0, this.fd, true);
      attributes.setBigUint64(8, BigInt(key), true);
      attributes.setBigUint64(16, BigInt(key + 4), true);
    });
  }

  /** Gives up changing the table; the program remains in force as long as the interface lives. */
  close(): void {
    closeSync(this.fd);
  }
}

function install(tap: number, program: number): void {
  const argument = new Uint32Array(new SharedArrayBuffer(4));
  argument[0] = program;
  const result = libc().ioctl(
    tap,
    TUNSETSTEERINGEBPF,
    libc().address(new Uint8Array(argument.buffer)),
  );
  const errno = result < 0 ? libc().errno() : 0;
  // The driver has its own reference by now.
  closeSync(program);
  if (errno !== 0) throw steeringError("install it", errno);
}

function loadProgram(program: Uint8Array): number {
  const license = new Uint8Array(new SharedArrayBuffer(8));
  license.set([0x4d, 0x49, 0x54]); // "MIT"
  return bpf(BPF_PROG_LOAD, "load a program", (attributes) => {
    attributes.setUint32(0, BPF_PROG_TYPE_SOCKET_FILTER, true);
    attributes.setUint32(4, program.length / INSTRUCTION_SIZE, true);
    attributes.setBigUint64(8, BigInt(libc().address(program)), true);
    attributes.setBigUint64(16, BigInt(libc().address(license)), true);
  });
}

/** bpf(2): `describe` fills in union bpf_attr. Returns its result, often a file descriptor. */
function bpf(command: number, what: string, describe: (attributes: DataView) => void): number {
  const bytes = new Uint8Array(new SharedArrayBuffer(128));
  describe(new DataView(bytes.buffer));
  const result = libc().bpf(command, libc().address(bytes), bytes.length);
  if (result < 0) throw steeringError(what, libc().errno());
  return result;
}

function steeringError(what: string, errno: number): TapError {
  const problem = `Linux refused to ${what} that steers flows to queues (${errorName(errno)})`;
  return errno === EPERM || errno === EACCES
    ? new TapError(
        "ERR_TAP_PERMISSION",
        `${problem}: run as root or with CAP_BPF and CAP_NET_ADMIN, or open the TAP with ` +
          "steering: false, which suits a dataplane of one core",
        { errno },
      )
    : new TapError("ERR_TAP_SYSTEM", problem, { errno });
}

// ---------------------------------------------------------------------------------------------
// The program

/** u8 operation, u4 destination, u4 source register, i16 offset, i32 immediate. */
const INSTRUCTION_SIZE = 8;

const MOV64 = 0xbf;
const MOV64_IMMEDIATE = 0xb7;
const ADD64_IMMEDIATE = 0x07;
const MOV32 = 0xbc;
const XOR32 = 0xac;
const AND32_IMMEDIATE = 0x54;
const SHIFT_LEFT32_IMMEDIATE = 0x64;
const SHIFT_RIGHT32_IMMEDIATE = 0x74;
const MULTIPLY32_IMMEDIATE = 0x24;
const STORE32 = 0x63;
const LOAD32 = 0x61;
/** Loads from the packet to r0, big-endian; beyond its end the program returns 0. */
const PACKET8 = 0x30;
const PACKET16 = 0x28;
const PACKET32 = 0x20;
/** The same from the immediate plus the source register. */
const PACKET32_INDIRECT = 0x40;
const LOAD_MAP = 0x18;
const PSEUDO_MAP_FD = 1;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_NOT_EQUAL = 0x55;
const JUMP_ANY_BIT = 0x45;
const CALL = 0x85;
const EXIT = 0x95;

/** r0: results. r1 to r5: arguments and scratch. r6: the packet. r7: the hash. r10: the stack. */
const R0 = 0;
const R1 = 1;
const R2 = 2;
const CONTEXT = 6;
const HASH = 7;
const STACK = 10;

interface Jump {
  readonly from: number;
  readonly label: string;
}

class Assembler {
  readonly #words: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: Jump[] = [];

  emit(operation: number, destination: number, source: number, offset = 0, immediate = 0): this {
    const registers = destination | (source << 4);
    this.#words.push(operation | (registers << 8) | (offset << 16), immediate);
    return this;
  }

  /** Loads `immediate` bytes from the packet's start to r0. */
  packet(operation: number, at: number): this {
    return this.emit(operation, 0, 0, 0, at);
  }

  /** A jump on r0 and an immediate; JUMP needs neither. */
  jump(operation: number, immediate: number, label: string): this {
    this.#jumps.push({ from: this.#words.length / 2, label });
    return this.emit(operation, R0, 0, 0, immediate);
  }

  label(name: string): this {
    this.#labels.set(name, this.#words.length / 2);
    return this;
  }

  /** The program's bytes, in memory that does not move. */
  finish(): Uint8Array {
    for (const { from, label } of this.#jumps) {
      this.#words[2 * from] |= (this.#labels.get(label)! - from - 1) << 16;
    }
    const program = new Int32Array(new SharedArrayBuffer(this.#words.length * 4));
    program.set(this.#words);
    return new Uint8Array(program.buffer);
  }

  /**
   * XORs into the hash what the big-endian word in r0 contributes at byte `position` of the input:
   * each of its bits times 32 bits of the key. Neither a branch nor a mask of all ones or zeros, which
   * the verifier treats like one: it would look at each combination of them.
   */
  hashWord(position: number): this {
    for (let bit = 0; bit < 32; bit++) {
      this.emit(MOV32, R1, R0);
      if (bit !== 31) this.emit(SHIFT_RIGHT32_IMMEDIATE, R1, 0, 0, 31 - bit);
      if (bit !== 0) this.emit(AND32_IMMEDIATE, R1, 0, 0, 1);
      this.emit(MULTIPLY32_IMMEDIATE, R1, 0, 0, keyBits(position * 8 + bit));
      this.emit(XOR32, HASH, R1);
    }
    return this;
  }
}

/** The 32 bits of the RSS key from bit `at` on. */
function keyBits(at: number): number {
  let bits = 0;
  for (let i = at; i < at + 32; i++)
    bits = (bits << 1) | ((TOEPLITZ_KEY[i >> 3] >> (7 - (i & 7))) & 1);
  return bits;
}

function steeringProgram(reta: number): Uint8Array {
  const program = new Assembler();
  program.emit(MOV64, CONTEXT, R1);
  program.emit(MOV64_IMMEDIATE, HASH, 0, 0, 0);
  program.packet(PACKET16, ETHERTYPE);
  program.jump(JUMP_EQUAL, ETHERTYPE_IPV6, "ipv6");
  program.jump(JUMP_NOT_EQUAL, ETHERTYPE_IPV4, "look up");

  program.packet(PACKET32, IPV4_ADDRESSES).hashWord(0);
  program.packet(PACKET32, IPV4_ADDRESSES + 4).hashWord(4);
  program.packet(PACKET16, IPV4_FRAGMENT).jump(JUMP_ANY_BIT, FRAGMENT_BITS, "look up");
  program.packet(PACKET8, IPV4_PROTOCOL);
  program.jump(JUMP_EQUAL, TCP, "ipv4 ports").jump(JUMP_NOT_EQUAL, UDP, "look up");
  program.label("ipv4 ports");
  program.packet(PACKET8, IPV4);
  program.emit(AND32_IMMEDIATE, R0, 0, 0, 15);
  program.emit(SHIFT_LEFT32_IMMEDIATE, R0, 0, 0, 2);
  program.emit(PACKET32_INDIRECT, 0, R0, 0, IPV4).hashWord(8);
  program.jump(JUMP, 0, "look up");

  program.label("ipv6");
  for (let at = 0; at < 32; at += 4) program.packet(PACKET32, IPV6_ADDRESSES + at).hashWord(at);
  program.packet(PACKET8, IPV6_NEXT_HEADER);
  program.jump(JUMP_EQUAL, TCP, "ipv6 ports").jump(JUMP_NOT_EQUAL, UDP, "look up");
  program.label("ipv6 ports");
  program.packet(PACKET32, IPV6_PORTS).hashWord(32);

  program.label("look up");
  program.emit(AND32_IMMEDIATE, HASH, 0, 0, FLOW_GROUPS - 1);
  program.emit(STORE32, STACK, HASH, -4);
  program.emit(LOAD_MAP, R1, PSEUDO_MAP_FD, 0, reta).emit(0, 0, 0);
  program.emit(MOV64, R2, STACK).emit(ADD64_IMMEDIATE, R2, 0, 0, -4);
  program.emit(CALL, 0, 0, 0, MAP_LOOKUP_ELEM);
  program.jump(JUMP_EQUAL, 0, "none");
  program.emit(LOAD32, R0, R0);
  program.label("none").emit(EXIT, 0, 0);
  return program.finish();
}
