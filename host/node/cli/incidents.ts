/** What went wrong on the cores of a run: counted for programs, and told to people. */
import type { Incident } from "../../control/watchdog.ts";
import { stackOf } from "./errors.ts";

export type IncidentKind = Incident["what"];

const KINDS: readonly IncidentKind[] = ["unresponsive", "hung", "died", "taken over", "lost"];

/** How often each happened on one core. */
export type IncidentCounts = Readonly<Record<IncidentKind, number>>;

export class IncidentLog {
  readonly #counts: Record<IncidentKind, number>[];

  constructor(cores: number) {
    this.#counts = Array.from({ length: cores }, noIncidents);
  }

  add({ core, what }: Incident): void {
    this.#counts[core][what]++;
  }

  /** The counts of a core. */
  of(core: number): IncidentCounts {
    return { ...this.#counts[core] };
  }
}

/** A line for people; undefined for what is not worth one: every pause of the machine is a silence. */
export function incidentText(incident: Incident): string | undefined {
  const { dataplane, core, what, where, micros, error } = incident;
  const name = `core ${core} of ${dataplane}`;
  const millis = Math.round(micros / 1000);
  const reason = error instanceof Error ? error.message : String(error);
  switch (what) {
    case "unresponsive":
      return undefined;
    case "hung":
      return `${name} did not answer for ${millis} ms, being in the ${where}: its thread was ended`;
    case "died":
      return `${name} died in the ${where}: ${reason}${stackOf(error)}`;
    case "taken over":
      return `${name}: others have its connections now, ${millis} ms later`;
    case "lost":
      return `${name} is lost with its connections: ${reason}`;
  }
}

function noIncidents(): Record<IncidentKind, number> {
  return Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<IncidentKind, number>;
}
