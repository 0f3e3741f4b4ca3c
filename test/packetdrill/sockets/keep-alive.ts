/** SO_KEEPALIVE and what belongs to it, as the kernel takes them: all at once, and not in the handshake. */

type Name = "SO_KEEPALIVE" | "TCP_KEEPIDLE" | "TCP_KEEPINTVL" | "TCP_KEEPCNT";

export class KeepAlive {
  /** s, s, probes; 0: as the dataplane has it. */
  readonly #values: Record<Name, number> = {
    SO_KEEPALIVE: 0,
    TCP_KEEPIDLE: 0,
    TCP_KEEPINTVL: 0,
    TCP_KEEPCNT: 0,
  };

  /** False when the option is another. */
  set(name: string, value: number): boolean {
    if (!this.#knows(name)) return false;
    this.#values[name] = name === "SO_KEEPALIVE" ? Number(value !== 0) : value;
    return true;
  }

  /** undefined when it is another, or was not set. */
  get(name: string): number | undefined {
    if (!this.#knows(name)) return undefined;
    return this.#values[name] || (name === "SO_KEEPALIVE" ? 0 : undefined);
  }

  get on(): boolean {
    return this.#values.SO_KEEPALIVE !== 0;
  }

  /** Takes over another's values. */
  copy(from: KeepAlive): void {
    Object.assign(this.#values, from.#values);
  }

  /** The values of OPTION_KEEP_ALIVE. */
  get words(): readonly [on: number, idle: number, others: number] {
    const { SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT } = this.#values;
    return [SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL | (TCP_KEEPCNT << 16)];
  }

  #knows(name: string): name is Name {
    return Object.hasOwn(this.#values, name);
  }
}
