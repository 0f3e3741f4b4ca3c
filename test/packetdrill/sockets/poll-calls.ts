/** Calls that wait for readiness. */
import type { Expression } from "../language/script.ts";
import type { CallContext, Handler } from "./descriptors.ts";
import { Epoll, type Ready } from "./epoll.ts";
import { done, failed, immediate, type Operation, type Outcome } from "./outcome.ts";
import { POLL } from "./socket.ts";
import { fieldOf, numberOf } from "./values.ts";

const MILLISECOND = 1000;

/** Readiness reported whether asked for or not. */
const ALWAYS = POLL.ERR | POLL.HUP;

const poll: Handler = (call, context) => {
  const [list, , timeout] = call.args;
  const entries = list?.kind === "list" ? list.items : [];
  return until(numberOf(timeout), context, (last) => {
    const found = entries.map((entry) => readiness(entry, context));
    const ready = found.filter((events) => events !== 0).length;
    if (ready === 0 && !last) return undefined;
    const wrong = entries.findIndex((entry, index) => revents(entry) !== found[index]);
    if (wrong < 0) return done(ready);
    return {
      ...done(ready),
      wrong: `revents of entry ${wrong} are 0x${found[wrong].toString(16)}`,
    };
  });
};

function readiness(entry: Expression, context: CallContext): number {
  const socket = context.descriptors.socket(numberOf(fieldOf(entry, "fd")));
  if (!socket) return POLL.NVAL;
  return socket.readiness() & (numberOf(fieldOf(entry, "events")) | ALWAYS);
}

function revents(entry: Expression): number {
  const expected = fieldOf(entry, "revents");
  return expected ? numberOf(expected) : 0;
}

const epollCreate: Handler = (call, context) => {
  const fd = Math.max(numberOf(call.result), 0);
  context.descriptors.add(fd, new Epoll());
  return immediate(done(fd));
};

const epollCtl: Handler = (call, context) => {
  const [epollFd, operation, fd, event] = call.args;
  const epoll = context.descriptors.epoll(numberOf(epollFd));
  const socket = context.descriptors.socket(numberOf(fd));
  if (!epoll || !socket) return immediate(failed("EBADF"));
  const events = fieldOf(event, "events");
  return immediate(
    epoll.control(
      numberOf(operation),
      numberOf(fd),
      socket,
      events ? numberOf(events) : 0,
      dataOf(event) ?? 0,
    ),
  );
};

const epollWait: Handler = (call, context) => {
  const [epollFd, expected, most, timeout] = call.args;
  const epoll = context.descriptors.epoll(numberOf(epollFd));
  if (!epoll) return immediate(failed("EBADF"));
  const list = expected?.kind === "list" ? expected.items : expected ? [expected] : [];
  return until(numberOf(timeout), context, (last) => {
    const ready = epoll.take(numberOf(most));
    if (ready.length === 0 && !last) return undefined;
    const wrong = ready.findIndex((report, index) => !agrees(report, list[index]));
    if (wrong < 0) return done(ready.length);
    const { events, data } = ready[wrong];
    return { ...done(ready.length), wrong: `events are 0x${events.toString(16)}, data ${data}` };
  });
};

function agrees(report: Ready, expected: Expression | undefined): boolean {
  const events = fieldOf(expected, "events");
  if (!events || numberOf(events) !== report.events) return false;
  const data = dataOf(expected);
  return data === undefined || data === report.data;
}

/** Whichever member of the union is written. */
function dataOf(event: Expression | undefined): number | undefined {
  for (const name of ["fd", "u32", "u64", "ptr"]) {
    const value = fieldOf(event, name);
    if (value) return numberOf(value);
  }
  return undefined;
}

/** Waits for `timeout` ms at most: -1 for ever, 0 not at all. `attempt` is told of its last time. */
function until(
  timeout: number,
  context: CallContext,
  attempt: (last: boolean) => Outcome | undefined,
): Operation {
  const deadline = timeout < 0 ? Infinity : context.now() + timeout * MILLISECOND;
  return { attempt: () => attempt(context.now() >= deadline), deadline };
}

export const pollCalls: Readonly<Record<string, Handler>> = {
  poll,
  epoll_create: epollCreate,
  epoll_create1: epollCreate,
  epoll_ctl: epollCtl,
  epoll_wait: epollWait,
};
