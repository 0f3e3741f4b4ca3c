/**
 * What cores tell each other of migrations: for every ordered pair of cores a ring of MAILBOX_SLOTS
 * messages, which one writes and the other reads. A bit in the reader's CORE_MAIL says whose ring has
 * something, so that a core without mail looks at two words per poll.
 *
 *   | producer, 64 bytes | consumer, 64 bytes | message | message | message | message |
 */
import {
  CACHE_LINE,
  CFG_CORE_BLOCKS,
  CFG_CORES,
  CFG_MAILBOXES,
  CORE_DOORBELL,
  CORE_MAIL,
  CORE_PARKED,
  CORE_SIZE,
  MAILBOX_SIZE,
  MAILBOX_SLOTS,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { coreId } from "./groups";

/** A message: one cache line. */
@final
@unmanaged
export class Message {
  /** `MAIL_*`. */
  kind: u32;
  /** HANDOVER: connections, a list through `noticeNext`, how many, and packets in the backlogs. */
  connections: u32;
  connectionCount: u32;
  packets: u32;
  /** The groups that it is about. */
  groups0: u64;
  groups2: u64;
  /** HANDOVER: `ARRIVED_*` of all connections. */
  flags: u32;
  /** HANDOVER: the sender's time, µs: for what it gives, time must not go back. */
  at: u32;
}

/** The groups are yours, with their connections and what came for them. */
export const MAIL_HANDOVER: u32 = 1;
/** The groups are mine now. */
export const MAIL_TAKEN: u32 = 2;

const CONSUMER: u32 = CACHE_LINE;
const MESSAGES: u32 = 2 * CACHE_LINE;

/** Address of the set of groups in a message. */
export function groupsOf(message: Message): u32 {
  return changetype<u32>(message) + offsetof<Message>("groups0");
}

/** An empty message to a core, to be filled in and posted; null while its mailbox is full. */
export function draft(to: u32): Message | null {
  const mailbox = mailboxOf(coreId, to);
  const head = load<u32>(mailbox);
  if (head - atomic.load<u32>(mailbox + CONSUMER) >= MAILBOX_SLOTS) return null;
  const message = messageAt(mailbox, head);
  memory.fill(changetype<u32>(message), 0, CACHE_LINE);
  return message;
}

/** How many messages this core has sent to another. */
export function mailboxPosition(to: u32): u32 {
  return load<u32>(mailboxOf(coreId, to));
}

/** Sends the draft. */
export function post(to: u32): void {
  const mailbox = mailboxOf(coreId, to);
  atomic.store<u32>(mailbox, load<u32>(mailbox) + 1);
  remind(to);
}

/** Says that there is mail, and wakes the core if it sleeps. */
export function remind(to: u32): void {
  const block = config(CFG_CORE_BLOCKS) + to * CORE_SIZE;
  atomic.or<u32>(block + CORE_MAIL + ((coreId >> 5) << 2), 1 << (coreId & 31));
  if (atomic.load<u32>(block + CORE_PARKED) == 0) return;
  atomic.add<u32>(block + CORE_DOORBELL, 1);
  atomic.notify(block + CORE_DOORBELL);
}

/** True when some core has sent something. */
export function hasMail(): bool {
  return load<u64>(coreBlock + CORE_MAIL) != 0;
}

/** The lowest core at or after `from` that has sent something; the number of cores when none has. */
export function nextSender(from: u32): u32 {
  const cores = config(CFG_CORES);
  for (let core = from; core < cores; core++) {
    const word = coreBlock + CORE_MAIL + ((core >> 5) << 2);
    if ((load<u32>(word) >> (core & 31)) & 1) return core;
  }
  return cores;
}

/** The oldest message of a core, or null. It stays where it is until `discard`. */
export function peek(from: u32): Message | null {
  const mailbox = mailboxOf(from, coreId);
  const tail = load<u32>(mailbox + CONSUMER);
  if (tail == atomic.load<u32>(mailbox)) {
    // Its bit goes first: a message posted after this look sets it again.
    const word = coreBlock + CORE_MAIL + ((from >> 5) << 2);
    atomic.and<u32>(word, ~(1 << (from & 31)));
    if (tail == atomic.load<u32>(mailbox)) return null;
    atomic.or<u32>(word, 1 << (from & 31));
  }
  return messageAt(mailbox, tail);
}

/** Forgets the oldest message of a core. */
export function discard(from: u32): void {
  const cell = mailboxOf(from, coreId) + CONSUMER;
  atomic.store<u32>(cell, load<u32>(cell) + 1);
}

function messageAt(mailbox: u32, position: u32): Message {
  return changetype<Message>(mailbox + MESSAGES + (position & (MAILBOX_SLOTS - 1)) * CACHE_LINE);
}

function mailboxOf(from: u32, to: u32): u32 {
  return config(CFG_MAILBOXES) + (from * config(CFG_CORES) + to) * MAILBOX_SIZE;
}
