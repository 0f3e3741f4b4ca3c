/**
 * What a control plane can do with the cores of a running dataplane, whoever runs them. Both the
 * threaded and the inline runners hand one out.
 */

/** A core's state: it owns flow groups, it was given back, or its thread has died. */
export type CoreState = "active" | "idle" | "dead";

/** What a migration moved. */
export interface MigrationResult {
  readonly from: number;
  readonly to: number;
  /** Flow groups, connections, and packets that waited meanwhile. */
  readonly groups: number;
  readonly connections: number;
  readonly packets: number;
  /** From the command to the target's ownership, µs. */
  readonly micros: number;
}

export interface CoreManager {
  /** By core. */
  readonly cores: readonly CoreState[];
  /**
   * Moves flow groups to a core, from whichever own them: one migration for each source. Groups that
   * are there already are left out.
   */
  migrate(groups: Iterable<number>, to: number): Promise<readonly MigrationResult[]>;
  /**
   * Makes the first `cores`, or just these ones, the active ones and shares all flow groups out to
   * them equally, moving as few as possible.
   */
  setActive(cores: number | readonly number[]): Promise<void>;
  /** Starts a core, without flow groups. */
  add(core: number): Promise<void>;
  /** Moves a core's groups to the others and gives the core back. */
  revoke(core: number): Promise<void>;
  /** The core that owns each flow group. */
  owners(): Uint8Array;
}
