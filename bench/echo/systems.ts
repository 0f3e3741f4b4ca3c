/** The systems that echo messages are measured on, by the names that --systems knows them by. */
import { IxwasmInline, IxwasmThreaded } from "./ixwasm-systems.ts";
import { Epoll, NodeNet } from "./linux-systems.ts";
import type { EchoSystem } from "./system.ts";

/** In the order of the tables. */
const SYSTEMS: Readonly<Record<string, () => EchoSystem>> = {
  inline: () => new IxwasmInline(),
  threaded: () => new IxwasmThreaded(),
  net: () => new NodeNet(),
  epoll: () => new Epoll(false),
  "epoll-spin": () => new Epoll(true),
};

export const SYSTEM_NAMES: readonly string[] = Object.keys(SYSTEMS);
/** The paper compares four; polling without sleeping is what only some experiments are about. */
export const COMPARED: readonly string[] = ["inline", "threaded", "net", "epoll"];

export function makeSystem(name: string): EchoSystem {
  return SYSTEMS[name]();
}

/** What each is, for the help. */
export function describeSystems(): string[] {
  const lines = SYSTEM_NAMES.map((name) => `  ${name.padEnd(11)} ${makeSystem(name).description}`);
  return ["Systems:", ...lines];
}
