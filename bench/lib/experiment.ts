/**
 * What all experiments have in common: a name, what of the paper it is the counterpart of, options, and
 * a run that tells a reporter what it finds. The command line, the run of all of them and the report
 * know no more of an experiment than this.
 */
import { Command, Help } from "commander";
import type { Chart } from "./chart.ts";
import { integer, someOf } from "./options.ts";
import type { Reporter } from "./reporter.ts";

/** Columns of a paragraph of help. */
const WIDTH = 100;

export interface Turns {
  /** Names of all systems, and of those that are measured unless others are asked for; default: all. */
  readonly systems: readonly string[];
  readonly chosen?: readonly string[];
  /** How often each is measured unless told otherwise. */
  readonly repeats: number;
}

export interface ExperimentDefinition<Options extends object> {
  readonly name: string;
  /** The paper's figure or table, as "figure 3b". */
  readonly figure?: string;
  /** One line of help. */
  readonly description: string;
  /** What a reader of the help and of the report needs to know of the method, in a few sentences. */
  readonly method?: string;
  /** Adds the options, each with a default. */
  options(command: Command): Command;
  /** Of an experiment that measures several systems in turn: adds --repeats and --systems. */
  readonly turns?: Turns;
  /** Arguments after the name that are worth showing. */
  readonly examples: readonly string[];
  /** More lines of help. */
  readonly help?: readonly string[];
  /** Options of a run of all experiments, where the defaults would take more than two minutes. */
  readonly bounded?: Partial<Options>;
  /** Options of the tour; without, the tour leaves it out. */
  readonly tour?: Partial<Options>;
  run(options: Options, reporter: Reporter): Promise<void>;
  /** How the report draws it. */
  readonly charts: readonly Chart[];
}

/** How an experiment is run: with its defaults, bounded, or as briefly as the tour has it. */
export type Extent = "full" | "bounded" | "tour";

/** An experiment whose options nobody else needs to know. */
export interface Experiment extends Omit<
  ExperimentDefinition<object>,
  "options" | "turns" | "bounded" | "tour" | "run"
> {
  readonly inTour: boolean;
  /** A command with the experiment's options; the caller gives it its action. */
  command(): Command;
  /** Runs with the options of a parsed command. */
  run(command: Command, reporter: Reporter, extent: Extent): Promise<void>;
}

export function defineExperiment<Options extends object>(
  definition: ExperimentDefinition<Options>,
): Experiment {
  const { name, description, examples, help, turns, bounded, tour, ...rest } = definition;
  const overrides = { full: {}, bounded, tour };
  return {
    ...rest,
    name,
    description,
    examples,
    help,
    inTour: tour !== undefined,
    command() {
      const command = definition.options(new Command(name).description(description));
      if (turns !== undefined) addTurns(command, turns);
      describeLists(command);
      const sections = [
        rest.method === undefined ? [] : [new Help().boxWrap(rest.method, WIDTH)],
        help ?? [],
        ["Examples:", ...examples.map((one) => `  npm run bench -- ${name} ${one}`.trimEnd())],
      ];
      const told = sections.filter(({ length }) => length > 0);
      return command.addHelpText("after", told.map((lines) => `\n${lines.join("\n")}`).join("\n"));
    },
    run(command, reporter, extent) {
      const options = { ...command.opts(), ...overrides[extent] } as Options;
      return definition.run(options, reporter);
    },
  };
}

function addTurns(command: Command, { systems, chosen = systems, repeats }: Turns): void {
  const names = systems.join(",");
  command
    .option("--repeats <n>", "measurements of each system, taken in turn", integer(1, 100), repeats)
    .option("--systems <names>", `which ones, of ${names}`, someOf(systems), [...chosen]);
}

/** Has defaults that are lists shown as they are given. */
function describeLists({ options }: Command): void {
  for (const option of options) {
    const { defaultValue } = option as { defaultValue?: unknown };
    if (Array.isArray(defaultValue)) option.default(defaultValue, defaultValue.join(","));
  }
}
