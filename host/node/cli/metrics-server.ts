/** Serves Prometheus' text form over HTTP, on GET /metrics. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { HostPort } from "./arguments.ts";
import { CliError, describeError } from "./errors.ts";
import type { MetricsPage } from "./prometheus.ts";

/** Scrapers at once. */
const MAX_CONNECTIONS = 32;

export class MetricsServer {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server, { address, family, port }: AddressInfo) {
    this.#server = server;
    const host = family === "IPv6" ? `[${address}]` : address;
    this.url = `http://${host}:${port}/metrics`;
  }

  /**
   * Listens; port 0 is any free one.
   *
   * @throws {CliError} the address cannot be listened on
   */
  static async listen(
    { host, port }: HostPort,
    page: () => Promise<MetricsPage>,
  ): Promise<MetricsServer> {
    const server = createServer(respondWith(page));
    server.maxConnections = MAX_CONNECTIONS;
    server.listen(port, host);
    try {
      await once(server, "listening");
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new CliError(`cannot serve metrics: ${reason}; give another --metrics`, { cause });
    }
    return new MetricsServer(server, server.address() as AddressInfo);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function respondWith(page: () => Promise<MetricsPage>): RequestListener {
  return (request, response) => {
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead || new URL(request.url ?? "/", "http://localhost").pathname !== "/metrics") {
      response.writeHead(isRead ? 404 : 405, { "content-type": "text/plain" });
      response.end(isRead ? "The metrics are at /metrics.\n" : "Only GET is answered.\n");
      return;
    }
    page().then(
      ({ contentType, text }) => response.writeHead(200, { "content-type": contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(`${describeError(error)}\n`),
    );
  };
}
