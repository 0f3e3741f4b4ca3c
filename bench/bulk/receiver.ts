/** The receiver as a module for worker threads. */
import type { App, AppContext } from "../../host/libix/app.ts";
import { BulkReceiver } from "./apps.ts";
import type { BulkOptions } from "./apps.ts";

export default function bulkReceiver({ options }: AppContext): App {
  return new BulkReceiver(options as BulkOptions);
}
