/** What a simulated network says when time cannot bring what is waited for. */

export type SimulationErrorCode = "ERR_SIM_STUCK" | "ERR_SIM_LIMIT";

export class SimulationError extends Error {
  override readonly name = "SimulationError";
  readonly code: SimulationErrorCode;

  constructor(code: SimulationErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  /** Nothing will ever happen again; `now` in µs. */
  static stuck(goals: readonly string[], now: number): SimulationError {
    return new SimulationError(
      "ERR_SIM_STUCK",
      `nothing will happen any more after ${now / 1000} ms, and ${goals.join(" and ")} is still ` +
        "waited for; what comes from outside the network needs network.outside(promise), and " +
        'timers of the application the option timers: "virtual"',
    );
  }

  static late(goal: string, now: number): SimulationError {
    return new SimulationError(
      "ERR_SIM_LIMIT",
      `${goal} was waited for until ${now / 1000} ms; the option "limit" says for how long`,
    );
  }
}
