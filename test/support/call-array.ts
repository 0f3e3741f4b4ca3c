/** A core's array of system calls, as its application writes and reads it: raw descriptors, unchecked. */
import {
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_COOKIE,
  CALL_D,
  CALL_HANDLE,
  CALL_OP,
  CALL_RESULT,
  CALL_SIZE,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
} from "../../assembly/abi.ts";
import type { Call, CallResult } from "./application.ts";
import type { Contract } from "./contract.ts";
import type { Log } from "./log.ts";

/** What a result is until the kernel has written one. */
const NO_RESULT = 0x5a5a5a5a;

export class CallArray {
  readonly #view: DataView;
  readonly #block: number;
  readonly #contract: Contract;
  readonly #log: Log;
  readonly #queued: Call[] = [];
  readonly #results: CallResult[] = [];

  /** @param block address of the core's control block */
  constructor(view: DataView, block: number, contract: Contract, log: Log) {
    this.#view = view;
    this.#block = block;
    this.#contract = contract;
    this.#log = log;
  }

  /** Writes calls for the next poll, or dispatch. */
  submit(calls: readonly Call[]): void {
    const waiting = this.#word(CORE_SYSCALL_COUNT);
    if (waiting !== 0) throw new Error(`${waiting} calls still wait`);
    if (calls.length > this.#word(CORE_SYSCALL_CAPACITY)) {
      throw new RangeError(`${calls.length} calls exceed the array`);
    }
    calls.forEach((call, index) => {
      this.#contract.calling(call.op, call.handle ?? 0, call.a ?? 0);
      this.#write(index, call);
    });
    this.#setCount(calls.length);
    this.#queued.push(...calls);
  }

  /** Leaves one call behind, as a thread does that ends before it polls; nobody takes its result. */
  leave(op: number, handle: number): void {
    this.#write(0, { op, handle });
    this.#setCount(1);
  }

  /** Reads the results of what was submitted, at `now` (µs), and holds them against the contract. */
  collect(now: number): void {
    const base = this.#word(CORE_SYSCALLS);
    this.#queued.splice(0).forEach((call, index) => {
      const result = this.#read(base + index * CALL_SIZE);
      this.#log.note(
        now,
        `= call ${call.op} #${(call.handle ?? 0).toString(16)} a ${call.a} b ${call.b}: ` +
          `${result.result} #${result.handle.toString(16)}`,
      );
      if (result.cookie !== (call.cookie ?? 0)) {
        throw new Error(`call ${call.op} came back with another cookie\n${this.#log.text()}`);
      }
      this.#contract.called({
        op: call.op,
        handle: call.handle ?? 0,
        cookie: call.cookie ?? 0,
        a: call.a ?? 0,
        flags: call.flags ?? 0,
        result: result.result,
        resultHandle: result.handle,
      });
      this.#results.push(result);
    });
  }

  /** Nobody waits for what was submitted any more. */
  forget(): void {
    this.#queued.length = 0;
  }

  takeResults(): CallResult[] {
    return this.#results.splice(0);
  }

  #write(index: number, call: Call): void {
    const at = this.#word(CORE_SYSCALLS) + index * CALL_SIZE;
    this.#view.setUint32(at + CALL_OP, (call.op | ((call.flags ?? 0) << 16)) >>> 0, true);
    this.#view.setUint32(at + CALL_HANDLE, call.handle ?? 0, true);
    this.#view.setUint32(at + CALL_COOKIE, call.cookie ?? 0, true);
    this.#view.setUint32(at + CALL_RESULT, NO_RESULT, true);
    this.#view.setUint32(at + CALL_A, call.a ?? 0, true);
    this.#view.setUint32(at + CALL_B, call.b ?? 0, true);
    this.#view.setUint32(at + CALL_C, call.c ?? 0, true);
    this.#view.setUint32(at + CALL_D, call.d ?? 0, true);
  }

  #read(at: number): CallResult {
    return {
      result: this.#view.getInt32(at + CALL_RESULT, true),
      handle: this.#view.getUint32(at + CALL_HANDLE, true),
      cookie: this.#view.getUint32(at + CALL_COOKIE, true),
      a: this.#view.getUint32(at + CALL_A, true),
    };
  }

  #word(offset: number): number {
    return this.#view.getUint32(this.#block + offset, true);
  }

  #setCount(count: number): void {
    this.#view.setUint32(this.#block + CORE_SYSCALL_COUNT, count, true);
  }
}
