/** The user library: the raw arrays (`Ix`) and the event layer on top (`Ixev`). */
export type { App, AppContext, AppFactory } from "./app.ts";
export { IpAddress } from "./ip-address.ts";
export { Ix } from "./ix.ts";
export { Ixev } from "./ixev.ts";
export { IxevListener } from "./ixev-listeners.ts";
export type { Arrival, IxevOperations, IxevOptions, Knock } from "./ixev-operations.ts";
export { IXEVHUP, IXEVIN, IXEVLEVEL, IXEVONESHOT, IXEVOUT } from "./ixev-conditions.ts";
export { IxevContext } from "./ixev-context.ts";
export type { IxevHandler } from "./ixev-conditions.ts";
export type { IxevTimer } from "./ixev-timers.ts";
export type { Completion } from "./segments.ts";
export type { AccurateEcnInfo, ConnectionInfo, EcnCounts, TcpState } from "./tcp-info.ts";
export { AppWindow } from "./window.ts";
