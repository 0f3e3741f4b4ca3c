/**
 * The few functions of the C library that a TAP device needs, called through koffi. koffi is an
 * optional dependency: it is loaded when the first TAP is opened, once per thread.
 *
 * Addresses are passed as numbers: user space ends at 2^47 or below, which a double holds exactly,
 * and a BigInt would be an allocation per call.
 */
import { createRequire } from "node:module";
import type * as Koffi from "koffi";
import { TapError } from "./tap-errors.ts";

export const EPERM = 1;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const EACCES = 13;
export const EBUSY = 16;
export const EINVAL = 22;
export const EBADFD = 77;
export const ENOBUFS = 105;

export const POLLIN = 1;
export const POLLOUT = 4;

/** struct iovec on a 64-bit machine: u64 base, u64 length. */
export const IOVEC_SIZE = 16;

export interface Libc {
  /** Bytes read, or -1 and an errno. */
  read(fd: number, address: number, length: number): number;
  /** Bytes written, or -1 and an errno. */
  write(fd: number, address: number, length: number): number;
  /** Bytes written from the `count` struct iovec at `vector`, or -1 and an errno. */
  writev(fd: number, vector: number, count: number): number;
  /** Waits until one of `count` struct pollfd is ready, or for the struct timespec at `timeout`. */
  ppoll(fds: number, count: number, timeout: number, signals: number): number;
  /** An ioctl that takes a pointer to a structure. */
  ioctl(fd: number, request: number, argument: number): number;
  /** A datagram socket for ioctls on interfaces, or -1 and an errno. */
  socket(domain: number, type: number, protocol: number): number;
  /** Moves this thread to the namespace that the file descriptor stands for. */
  setns(fd: number, kind: number): number;
  /** bpf(2) with `size` bytes of union bpf_attr at `attributes`. */
  bpf(command: number, attributes: number, size: number): number;
  /** The error of this thread's last failed call. */
  errno(): number;
  /** Where the bytes of a view lie in this process, as long as the view is alive. */
  address(view: Uint8Array): number;
}

const ARCHITECTURES = ["x64", "arm64", "riscv64", "loong64"];
/** The number of bpf(2), which the C library has no function for. */
const SYS_BPF = process.arch === "x64" ? 321 : 280;

let loaded: Libc | undefined;

/** The C library; throws a TapError when this machine or this installation has no way to it. */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  if (process.platform !== "linux" || !ARCHITECTURES.includes(process.arch)) {
    throw new TapError(
      "ERR_TAP_UNSUPPORTED",
      `a TAP device needs Linux on ${ARCHITECTURES.join(", ")}; ` +
        `this is ${process.platform} on ${process.arch}`,
    );
  }
  const koffi = loadKoffi();
  const lib = koffi.load(null);
  const ioctl = lib.func("int ioctl(int fd, unsigned long request, ...)");
  const syscall = lib.func("long syscall(long number, ...)");
  return {
    read: lib.func("int read(int fd, uintptr_t buffer, size_t length)"),
    write: lib.func("int write(int fd, uintptr_t buffer, size_t length)"),
    writev: lib.func("int writev(int fd, uintptr_t vector, int count)"),
    ppoll: lib.func("int ppoll(uintptr_t fds, size_t count, uintptr_t timeout, uintptr_t signals)"),
    ioctl: (fd, request, argument) => ioctl(fd, request, "uintptr_t", argument),
    socket: lib.func("int socket(int domain, int type, int protocol)"),
    setns: lib.func("int setns(int fd, int kind)"),
    bpf: (command, attributes, size) =>
      syscall(SYS_BPF, "int", command, "uintptr_t", attributes, "uint32_t", size),
    errno: () => koffi.errno(),
    address: (view) => Number(koffi.address(view)),
  };
}

function loadKoffi(): typeof Koffi {
  const require = createRequire(import.meta.url);
  try {
    return require("koffi") as typeof Koffi;
  } catch (cause) {
    throw new TapError(
      "ERR_TAP_NO_KOFFI",
      "a TAP device needs the optional dependency koffi, which cannot be loaded: npm install koffi",
      { cause },
    );
  }
}
