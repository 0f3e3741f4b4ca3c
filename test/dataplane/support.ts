/** What the suites of the host's core share: small dataplanes and the fixture application. */
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import type { AppFactory } from "../../host/libix/app.ts";
import { createDataplane } from "../../host/node/index.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";

export const SERVER_IP = "10.0.0.1";
export const CLIENT_IP = "10.0.0.2";
export const ECHO_PORT = 7;

/** URL of the module with the fixture applications. */
export const ECHO_MODULE = new URL("./fixtures/echo.js", import.meta.url);

export const echoApp = ((await import(ECHO_MODULE.href)) as { default: AppFactory }).default;

export const SERVER_OPTIONS = { role: "server", port: ECHO_PORT };

export function clientOptions(messages: number, size = 64): object {
  return { role: "client", server: SERVER_IP, port: ECHO_PORT, messages, size };
}

/** A small dataplane with a fixed secret, on the release kernel unless told otherwise. */
export function smallDataplane(ip: string, options: Partial<DataplaneOptions> = {}): Dataplane {
  return createDataplane({
    ip: `${ip}/24`,
    ringSize: 128,
    maxConnections: 64,
    frames: (options.cores ?? 1) * 512,
    references: 512,
    applicationWindow: 1 << 16,
    secret: Uint8Array.from({ length: 16 }, (_, index) => index),
    tcp: { profile: "lan" },
    ...options,
  });
}
