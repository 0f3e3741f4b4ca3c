/** What a server may be told, and what it says that it is. */
export interface MemcachedOptions {
  /** TCP port. Default 11211. */
  readonly port?: number;
  /** Connections that may wait to be accepted, per core. Default 1024. */
  readonly backlog?: number;
  /** Most connections of a core. Default 65536. */
  readonly connections?: number;
  /** Most bytes of an item: key, value and 58 more. Default 1 MiB, to 128 MiB. */
  readonly itemMax?: number;
  /** Unix time at which the dataplane's clock is at 0, s. Default 0: it shows Unix time. */
  readonly epoch?: number;
}

/** What `version` says: the memcached whose protocol this is. */
export const VERSION = "1.6.18";
