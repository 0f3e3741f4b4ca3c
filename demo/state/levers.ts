/** What a reader can set: each lever's name, its values from least to most, and how a value is written. */
import {
  CONGESTION,
  PATTERNS,
  POLICIES,
  type Congestion,
  type Levers,
  type Pattern,
  type PolicyName,
} from "../engine/messages.ts";
import { bitRate, bytes, grouped, percent, short, time } from "../page/numbers.ts";

type NumberKey = {
  [Key in keyof Levers]: Levers[Key] extends number ? Key : never;
}[keyof Levers];

export interface RangeLever {
  readonly key: NumberKey;
  readonly label: string;
  readonly values: readonly number[];
  readonly format: (value: number) => string;
  /** What it does, in a sentence: shown when the pointer rests on it, and read to who cannot see. */
  readonly help: string;
}

export interface ChoiceLever {
  readonly key: "congestion" | "pattern" | "policy";
  readonly label: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly help: string;
}

export interface LeverGroup {
  readonly title: string;
  readonly levers: readonly (RangeLever | ChoiceLever)[];
}

/** 1, 2, 5, 10, … from `from` to `to`. */
function series(from: number, to: number): number[] {
  const values: number[] = [];
  for (let decade = from; decade <= to; decade *= 10) {
    for (const factor of [1, 2, 5]) if (decade * factor <= to) values.push(decade * factor);
  }
  return values;
}

const POWERS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const CHANCES = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

const CONGESTION_NAMES: Record<Congestion, string> = {
  cubic: "CUBIC",
  newreno: "NewReno",
  dctcp: "DCTCP",
  bbr: "BBR",
};
const PATTERN_NAMES: Record<Pattern, string> = { steady: "Steady", step: "Steps", sine: "Waves" };
const POLICY_NAMES: Record<PolicyName, string> = {
  off: "You",
  delay: "Queuing delay",
  energy: "Energy",
  step: "The paper’s steps",
};

const options = <Name extends string>(
  values: readonly Name[],
  names: Record<Name, string>,
): [string, string][] => values.map((value) => [value, names[value]]);

export const LEVER_GROUPS: readonly LeverGroup[] = [
  {
    title: "Load",
    levers: [
      {
        key: "load",
        label: "Messages a second",
        values: [
          0, 1000, 5000, 10_000, 20_000, 60_000, 100_000, 200_000, 300_000, 500_000, 1e6, 2e6,
        ],
        format: (value) => (value === 0 ? "as answers come" : short(value)),
        help: "Requests of all clients together. As answers come: a client asks again when it was answered.",
      },
      {
        key: "inFlight",
        label: "Requests under way, each",
        values: [1, 2, 4, 8, 16],
        format: String,
        help: "How many requests a connection has under way when it asks as answers come.",
      },
      {
        key: "connections",
        label: "Connections",
        values: POWERS,
        format: grouped,
        help: "Connections that the clients keep open. More connections fill more flow groups.",
      },
      {
        key: "size",
        label: "Message size",
        values: [1, 64, 128, 256, 512, 1024, 1448, 4096, 16_384, 65_536],
        format: bytes,
        help: "Bytes of a request, and of its echo.",
      },
      {
        key: "pattern",
        label: "Over time",
        options: options(PATTERNS, PATTERN_NAMES),
        help: "How the load goes up and down around its mean.",
      },
    ],
  },
  {
    title: "Server",
    levers: [
      {
        key: "cores",
        label: "Cores",
        values: [1, 2, 3, 4, 5, 6, 7, 8],
        format: String,
        help: "Cores that run the dataplane. Flow groups are shared out among them.",
      },
      {
        key: "batch",
        label: "Batch bound B",
        values: [1, 2, 4, 8, 16, 32, 64],
        format: String,
        help: "How many packets an iteration takes at most.",
      },
      {
        key: "work",
        label: "Work for a message",
        values: [0, 0.5, 1, 2, 5, 10, 20, 50, 100],
        format: time,
        help: "What the application does before it answers.",
      },
      {
        key: "policy",
        label: "Who decides on cores",
        options: options(POLICIES, POLICY_NAMES),
        help: "You, or a policy of the control plane that watches the cores.",
      },
    ],
  },
  {
    title: "Link",
    levers: [
      {
        key: "delay",
        label: "Delay, each way",
        values: [0, ...series(1, 100_000)],
        format: time,
        help: "How long a frame is on the link.",
      },
      {
        key: "loss",
        label: "Loss",
        values: CHANCES,
        format: percent,
        help: "Frames that the link loses.",
      },
      {
        key: "reorder",
        label: "Reorder",
        values: CHANCES,
        format: percent,
        help: "Frames that overtake others.",
      },
      {
        key: "jitter",
        label: "Jitter",
        values: [0, ...series(1, 100_000)],
        format: time,
        help: "What is added to the delay at most, by chance.",
      },
      {
        key: "rate",
        label: "Rate",
        values: [1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 0],
        format: (value) => (value === 0 ? "no limit" : bitRate(value)),
        help: "Bits a second that the link carries each way.",
      },
      {
        key: "congestion",
        label: "Congestion control",
        options: options(CONGESTION, CONGESTION_NAMES),
        help: "How TCP finds out what the link carries. Connections are opened anew.",
      },
    ],
  },
  {
    title: "Trouble",
    levers: [
      {
        key: "flood",
        label: "Forged SYNs a second",
        values: [0, 1000, 5000, 10_000, 50_000, 100_000, 200_000, 500_000],
        format: (value) => (value === 0 ? "none" : short(value)),
        help: "Connection requests from forged addresses. The server answers with cookies and remembers nothing.",
      },
    ],
  },
];

/** The place of a value among a lever's, or of the nearest one. */
export function indexOfValue(values: readonly number[], value: number): number {
  let nearest = 0;
  values.forEach((candidate, index) => {
    if (Math.abs(candidate - value) < Math.abs(values[nearest] - value)) nearest = index;
  });
  return nearest;
}
