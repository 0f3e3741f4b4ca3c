/**
 * What is counted, by index into float64 cells of shared memory. A partition's are written by whoever holds
 * its lock, a core's by that core alone; sums of them are what `stats` tells.
 */
export const PARTITION_COUNTERS = [
  "cmd_get",
  "cmd_set",
  "cmd_touch",
  "get_hits",
  "get_misses",
  "get_expired",
  "get_flushed",
  "delete_misses",
  "delete_hits",
  "incr_misses",
  "incr_hits",
  "decr_misses",
  "decr_hits",
  "cas_misses",
  "cas_hits",
  "cas_badval",
  "touch_hits",
  "touch_misses",
  "bytes",
  "curr_items",
  "total_items",
  "expired_unfetched",
  "evicted_unfetched",
  "evictions",
  "reclaimed",
] as const;

export const CMD_GET = 0;
export const CMD_SET = 1;
export const CMD_TOUCH = 2;
export const GET_HITS = 3;
export const GET_MISSES = 4;
export const GET_EXPIRED = 5;
export const GET_FLUSHED = 6;
export const DELETE_MISSES = 7;
export const DELETE_HITS = 8;
export const INCR_MISSES = 9;
export const INCR_HITS = 10;
export const DECR_MISSES = 11;
export const DECR_HITS = 12;
export const CAS_MISSES = 13;
export const CAS_HITS = 14;
export const CAS_BADVAL = 15;
export const TOUCH_HITS = 16;
export const TOUCH_MISSES = 17;
export const BYTES = 18;
export const CURR_ITEMS = 19;
export const TOTAL_ITEMS = 20;
export const EXPIRED_UNFETCHED = 21;
export const EVICTED_UNFETCHED = 22;
export const EVICTIONS = 23;
export const RECLAIMED = 24;

/** Not events but what is there: `stats reset` leaves them. */
export const LEVELS: readonly number[] = [BYTES, CURR_ITEMS];

export const CORE_COUNTERS = [
  "curr_connections",
  "total_connections",
  "rejected_connections",
  "cmd_flush",
  "bytes_read",
  "bytes_written",
] as const;

export const CURR_CONNECTIONS = 0;
export const TOTAL_CONNECTIONS = 1;
export const REJECTED_CONNECTIONS = 2;
export const CMD_FLUSH = 3;
export const BYTES_READ = 4;
export const BYTES_WRITTEN = 5;
