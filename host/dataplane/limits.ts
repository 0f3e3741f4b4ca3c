/** Bounds that options of several kinds are held against. */

/** The least IP packet that every host must take (RFC 791 section 3.1). */
export const MTU_MIN = 576;

/** In µs. The wheel spans 268 s; instants are compared modulo 2^32 µs, so no span may reach 2^31. */
export const SECOND = 1_000_000;
export const MINUTE = 60 * SECOND;
