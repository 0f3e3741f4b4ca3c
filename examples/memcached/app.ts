/**
 * The memcached server as a module for `startThreaded`, `InlineRunner.add` and `ixwasm run`. Its options are
 * `MemcachedOptions`; its memory is the dataplane's shared window.
 */
import type { App, AppContext } from "../../host/libix/app.ts";
import type { MemcachedOptions } from "./options.ts";
import { Server } from "./server.ts";

export default function memcached({ ix, options }: AppContext): App {
  return new Server(ix, (options ?? {}) as MemcachedOptions);
}
