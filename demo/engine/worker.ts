/** The engine: takes the page's messages, and has the scenario run as the page and its pace allow. */
import "./shared-memory.ts";
import kernelUrl from "../../build/dataplane.wasm?url";
import { Engine } from "./engine.ts";
import type { EngineMessage, PageMessage } from "./messages.ts";

/** The part of a worker's global scope that is used. */
interface Scope {
  postMessage(message: EngineMessage): void;
  onmessage: ((event: MessageEvent<PageMessage>) => void) | null;
}

const scope = self as unknown as Scope;

async function loadKernel(): Promise<WebAssembly.Module> {
  const response = await fetch(kernelUrl);
  if (!response.ok) throw new Error(`the kernel could not be loaded: ${response.status}`);
  // Not every static host knows the type that streaming compilation asks for.
  return WebAssembly.compile(await response.arrayBuffer());
}

const engine = new Engine(loadKernel(), (message) => scope.postMessage(message));
scope.onmessage = ({ data }) => engine.take(data);
