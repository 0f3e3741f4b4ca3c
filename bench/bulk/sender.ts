/** The sender as a module for worker threads. */
import type { App, AppContext } from "../../host/libix/app.ts";
import { BulkSender } from "./apps.ts";
import type { BulkOptions } from "./apps.ts";

export default function bulkSender({ options }: AppContext): App {
  return new BulkSender(options as BulkOptions);
}
