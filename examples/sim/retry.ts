/**
 * A request that is tried again: with a time limit for each try, and pauses between them that double and
 * are spread by chance. An ordinary client with AbortSignal.timeout and setTimeout; the test of it has a
 * network that loses most of what it is given.
 *
 *   npx vitest run test/sim/examples.test.ts
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Server, Socket } from "../../host/node/net/index.ts";
import type { SimulatedHost } from "../../host/node/sim/index.ts";

const PORT = 8080;

export interface RetryPolicy {
  readonly tries: number;
  /** Milliseconds for one try. */
  readonly timeout: number;
  /** The first pause, ms; each is twice as long as the one before, times 0.5 to 1.5. */
  readonly pause: number;
}

/** Answers every line with the same line in capitals. */
export function shoutingServer(host: SimulatedHost): Server {
  const server = host.net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => socket.end(String(bytes).toUpperCase()));
  });
  return server.listen(PORT);
}

/** One try: the answer to a line. */
async function ask(from: SimulatedHost, to: string, line: string, limit: number): Promise<string> {
  const socket: Socket = from.net.connect(PORT, to);
  try {
    socket.write(line);
    const signal = AbortSignal.timeout(limit);
    const [answer] = (await once(socket, "data", { signal })) as [Buffer];
    return String(answer);
  } finally {
    socket.on("error", () => {});
    socket.destroy();
  }
}

/**
 * Asks until there is an answer.
 *
 * @returns the answer, and how many tries it took
 * @throws what the last try failed with
 */
export async function askWithRetries(
  from: SimulatedHost,
  to: string,
  line: string,
  { tries, timeout, pause }: RetryPolicy,
): Promise<{ answer: string; tries: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return { answer: await ask(from, to, line, timeout), tries: attempt };
    } catch (error) {
      if (attempt === tries) throw error;
      await sleep(pause * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}
