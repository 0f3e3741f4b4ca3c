/**
 * The run as a part of the address, so that a link shows somebody else the same one: what differs from
 * the run that the page begins with, as `#cores=8&loss=0.01&pace=50`.
 */
import {
  CONGESTION,
  PATTERNS,
  POLICIES,
  RANGES,
  type Pace,
  type Scenario,
} from "../engine/messages.ts";
import { FIRST_PACE, FIRST_SCENARIO } from "./first.ts";

export interface Run {
  readonly scenario: Scenario;
  readonly pace: Pace;
}

/** Least and most µs that pass in a second of slow motion. */
export const PACE_RANGE = [1, 1_000_000] as const;

const CHOICES: Partial<Record<keyof Scenario, readonly string[]>> = {
  congestion: CONGESTION,
  pattern: PATTERNS,
  policy: POLICIES,
};

export function toHash({ scenario, pace }: Run): string {
  const parts: string[] = [];
  for (const key of Object.keys(FIRST_SCENARIO) as (keyof Scenario)[]) {
    if (scenario[key] !== FIRST_SCENARIO[key]) parts.push(`${key}=${scenario[key]}`);
  }
  if (pace !== FIRST_PACE) parts.push(`pace=${pace}`);
  return parts.length === 0 ? "" : `#${parts.join("&")}`;
}

/** What is unknown, out of range or no number at all stays as the page begins. */
export function fromHash(hash: string): Run {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const changes: Record<string, number | string> = {};
  for (const key of Object.keys(FIRST_SCENARIO) as (keyof Scenario)[]) {
    const text = given.get(key);
    const value = text === null ? undefined : readValue(key, text);
    if (value !== undefined) changes[key] = value;
  }
  return { scenario: { ...FIRST_SCENARIO, ...changes }, pace: readPace(given.get("pace")) };
}

function readValue(key: keyof Scenario, text: string): number | string | undefined {
  const choices = CHOICES[key];
  if (choices !== undefined) return choices.includes(text) ? text : undefined;
  const [least, most] = RANGES[key as keyof typeof RANGES];
  return readNumber(text, least, most);
}

function readPace(text: string | null): Pace {
  if (text === "full") return "full";
  return readNumber(text ?? "", ...PACE_RANGE) ?? FIRST_PACE;
}

function readNumber(text: string, least: number, most: number): number | undefined {
  if (text.trim() === "") return undefined;
  const value = Number(text);
  return value >= least && value <= most ? value : undefined;
}
