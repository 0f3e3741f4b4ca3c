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

/**
 * The ends of many connections over flow groups that move, and who each other is: many dials at once are
 * more than what may wait for ARP.
 */
export function movingEnds(
  server: { readonly cores: number; readonly activeCores: number },
  clientCores: number,
  options: Partial<DataplaneOptions> = {},
): { readonly server: Dataplane; readonly client: Dataplane } {
  const common = { applicationWindow: 1 << 18, maxConnections: 4096, ringSize: 512, ...options };
  return {
    server: smallDataplane(SERVER_IP, {
      ...server,
      frames: server.cores * 2048,
      neighbours: [{ ip: CLIENT_IP, mac: "02:00:0a:00:00:02" }],
      ...common,
    }),
    client: smallDataplane(CLIENT_IP, {
      cores: clientCores,
      frames: clientCores * 2048,
      neighbours: [{ ip: SERVER_IP, mac: "02:00:0a:00:00:01" }],
      ...common,
    }),
  };
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
