/** What the tests of packages from npm share. */
import { once } from "node:events";
import type { EventEmitter } from "node:events";
import { serveHttp } from "../../host/node/net/index.ts";
import type { Host } from "../../host/node/net/index.ts";

/** A package, or undefined with a message when it is not installed: its tests are skipped then. */
export async function installed<T>(name: string): Promise<T | undefined> {
  try {
    return (await import(/* @vite-ignore */ name)) as T;
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    console.warn(`${name} is not installed: its tests are skipped`);
    return undefined;
  }
}

/** Serves with an HTTP server on any port of a host; returns the port. */
export async function served(server: EventEmitter, via: Host): Promise<number> {
  const listening = serveHttp(server, { via });
  await once(listening, "listening");
  return listening.address()!.port;
}
