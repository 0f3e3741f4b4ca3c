/** The server as a module for worker threads. */
import type { App, AppContext } from "../../host/libix/app.ts";
import { PipeServer } from "./apps.ts";
import type { PipeOptions } from "./apps.ts";

export default function pipeServer({ options }: AppContext): App {
  return new PipeServer(options as PipeOptions);
}
