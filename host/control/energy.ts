/**
 * What cores would draw: a model, not a measurement, for nobody here can ask the processor. A core that
 * polls draws the same whether it finds packets or not, which is why giving cores back saves energy:
 *
 *   package + polling cores × (core + dynamic × GHz × volts(GHz)²) + idle cores × sleeping
 *
 * Dynamic power of CMOS grows with frequency times the square of the voltage, and the voltage with the
 * frequency. The default constants are of the size of the SoCC 2015 paper's machine, eight cores of 2.4
 * GHz and 95 W; what matters is how configurations compare.
 */

export interface EnergyModel {
  /** Watts of what is shared, whatever the cores do. */
  readonly package: number;
  /** Watts of an active core, and of one that was given back. */
  readonly core: number;
  readonly sleeping: number;
  /** Watts per GHz and volt² of an active core; hyperthreads multiply it. */
  readonly dynamic: number;
  readonly hyperthreads: number;
  /** Volts at 0 GHz, and for each GHz more. */
  readonly volts: number;
  readonly voltsPerGhz: number;
}

export const MODEL_ENERGY: EnergyModel = {
  package: 15,
  core: 1.5,
  sleeping: 0.3,
  dynamic: 3,
  hyperthreads: 1.15,
  volts: 0.65,
  voltsPerGhz: 0.15,
};

/** A machine's configuration: how many of its cores are active, and how. */
export interface EnergyState {
  readonly active: number;
  readonly cores: number;
  /** GHz. */
  readonly frequency: number;
  readonly hyperthreads?: boolean;
}

/** Watts that the model says a configuration draws. */
export function modelledWatts(state: EnergyState, model: EnergyModel = MODEL_ENERGY): number {
  const { active, cores, frequency, hyperthreads = false } = state;
  const volts = model.volts + model.voltsPerGhz * frequency;
  const dynamic = model.dynamic * frequency * volts ** 2 * (hyperthreads ? model.hyperthreads : 1);
  return model.package + active * (model.core + dynamic) + (cores - active) * model.sleeping;
}

/** Adds up modelled energy while a machine goes from one configuration to the next. */
export class EnergyMeter {
  /** Joules so far, by the model. */
  joules = 0;
  readonly #model: EnergyModel;
  #since: number;
  #watts: number;

  /** `now` in µs. */
  constructor(now: number, state: EnergyState, model: EnergyModel = MODEL_ENERGY) {
    this.#model = model;
    this.#since = now;
    this.#watts = modelledWatts(state, model);
  }

  /** From `now` on the machine is in this configuration. */
  change(now: number, state: EnergyState): void {
    this.joules += (this.#watts * (now - this.#since)) / 1e6;
    this.#since = now;
    this.#watts = modelledWatts(state, this.#model);
  }
}
