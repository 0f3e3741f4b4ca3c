/** TLS on sockets as streams, on Node. */
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../host/net/host.ts";
import { createServer } from "../../host/node/net/index.ts";
import { connect } from "../../host/node/sockets/index.ts";
import { aHost, once } from "../node-net/support.ts";
import { certificate, type Certificate } from "../support/certificate.ts";

let own: Certificate;
let secureServer: tls.Server;

beforeAll(() => {
  own = certificate();
  secureServer = tls.createServer({ ...own, ALPNProtocols: ["echo"] }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
});

afterAll(() => void secureServer.close());

/** A TLS echo server on a host, and its port. */
async function serve(via: Host): Promise<number> {
  const server = createServer({ via }, (socket) => secureServer.emit("connection", socket));
  await once(server.listen(0), "listening");
  return server.address()!.port;
}

async function echoed(socket: ReturnType<typeof connect>, text: string): Promise<string> {
  await socket.writable.getWriter().write(new TextEncoder().encode(text));
  const { value } = await socket.readable.getReader().read();
  return new TextDecoder().decode(value);
}

describe("TLS", () => {
  test("goes on where the plain socket was", async () => {
    const via = aHost();
    const port = await serve(via);
    const tlsOptions = { ca: own.cert, ALPNProtocols: ["echo"] };
    const options = { via, secureTransport: "starttls", tlsOptions } as const;
    const plain = connect(`localhost:${port}`, options);
    await plain.opened;
    const secure = plain.startTls();
    expect([plain.upgraded, secure.secureTransport]).toEqual([true, "on"]);
    expect(await secure.opened).toMatchObject({
      alpn: "echo",
      remoteAddress: `${via.address}:${port}`,
    });
    expect(await echoed(secure, "secret")).toBe("secret");
    expect(() => plain.startTls()).toThrow("before");
    expect(() => secure.startTls()).toThrow("already");
    await secure.close();
  });

  test("is there from the beginning", async () => {
    const via = aHost();
    const port = await serve(via);
    const options = { via, secureTransport: "on", tlsOptions: { ca: own.cert } } as const;
    const socket = connect(`localhost:${port}`, options);
    await socket.opened;
    expect(await echoed(socket, "secret")).toBe("secret");
    await socket.close();
    await socket.closed;
  });

  test("fails for a certificate that nobody vouches for", async () => {
    const via = aHost();
    const port = await serve(via);
    const socket = connect(`localhost:${port}`, { via, secureTransport: "on" });
    await expect(socket.opened).rejects.toMatchObject({
      name: "SocketError",
      code: "DEPTH_ZERO_SELF_SIGNED_CERT",
    });
  });

  test("fails where nobody listens", async () => {
    const socket = connect("localhost:9", { via: aHost(), secureTransport: "on" });
    await expect(socket.opened).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(socket.closed).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});
