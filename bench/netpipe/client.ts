/** The client as a module for worker threads. */
import type { App, AppContext } from "../../host/libix/app.ts";
import { PipeClient } from "./apps.ts";
import type { PipeOptions } from "./apps.ts";

export default function pipeClient({ options }: AppContext): App {
  return new PipeClient(options as PipeOptions);
}
