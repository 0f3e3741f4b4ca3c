/** node:https and node:http2 over it, by way of node:tls. After node's test-https-*, test-http2-*. */
import { randomBytes } from "node:crypto";
import * as http2 from "node:http2";
import * as https from "node:https";
import { buffer, text } from "node:stream/consumers";
import * as tls from "node:tls";
import { describe, expect, test } from "vitest";
import { connect, httpsAgent, serveHttp } from "../../host/node/net/index.ts";
import type { Host } from "../../host/node/net/index.ts";
import { certificate } from "../support/certificate.ts";
import { aHost, once } from "./support.ts";

const ca = certificate().cert;

interface Site {
  readonly via: Host;
  readonly port: number;
}

async function serve(
  server: https.Server | http2.Http2SecureServer | http2.Http2Server,
): Promise<Site> {
  const via = aHost();
  const listening = serveHttp(server, { via });
  await once(listening, "listening");
  return { via, port: listening.address()!.port };
}

function get({ via, port }: Site, agentOptions: https.AgentOptions = {}): https.RequestOptions {
  return { port, host: "localhost", agent: httpsAgent({ ca, ...agentOptions, via }) };
}

async function body(options: https.RequestOptions, sent?: Buffer): Promise<Buffer> {
  const request = https.request({ ...options, method: sent === undefined ? "GET" : "POST" });
  request.end(sent);
  const [response] = (await once(request, "response")) as [NodeJS.ReadableStream];
  return buffer(response);
}

describe("https", () => {
  test("answers", async () => {
    const at = await serve(
      https.createServer(certificate(), (_, response) => response.end("safe")),
    );
    expect((await body(get(at))).toString()).toBe("safe");
  });

  test("carries a large body both ways", async () => {
    const server = https.createServer(
      certificate(),
      (request, response) => void request.pipe(response),
    );
    const sent = randomBytes(1_000_000);
    expect((await body(get(await serve(server)), sent)).equals(sent)).toBe(true);
  });

  test("keeps connections alive", async () => {
    let connections = 0;
    const server = https.createServer(certificate(), (_, response) => response.end());
    server.on("secureConnection", () => connections++);
    const options = get(await serve(server), { keepAlive: true });
    for (let i = 0; i < 5; i++) {
      await body(options);
      // The agent has its socket back a little later than the answer has ended.
      await new Promise(setImmediate);
    }
    expect(connections).toBe(1);
    (options.agent as https.Agent).destroy();
  });

  test("refuses a certificate that nobody vouches for", async () => {
    const at = await serve(https.createServer(certificate(), () => {}));
    const request = https.request(get(at, { ca: [] })).end();
    expect((await once(request, "error"))[0]).toMatchObject({
      code: "DEPTH_ZERO_SELF_SIGNED_CERT",
    });
  });

  test("refuses a certificate for another name", async () => {
    const at = await serve(https.createServer(certificate(), () => {}));
    const request = https.request({ ...get(at), servername: "elsewhere.example" }).end();
    expect((await once(request, "error"))[0]).toMatchObject({
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
  });

  test("where nobody listens fails: ECONNREFUSED", async () => {
    const at = await serve(https.createServer(certificate(), () => {}));
    const request = https.request({ ...get(at), port: 9 }).end();
    expect((await once(request, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("cut off by the server fails", async () => {
    const server = https.createServer(certificate(), (request) => request.socket.destroy());
    const request = https.request(get(await serve(server))).end();
    expect((await once(request, "error"))[0]).toMatchObject({ code: "ECONNRESET" });
  });
});

describe("http2", () => {
  /** A session over TLS. */
  function session({ via, port }: Site): http2.ClientHttp2Session {
    return http2.connect(`https://localhost:${port}`, {
      createConnection: () =>
        tls.connect({
          socket: connect({ port, via }),
          ca,
          servername: "localhost",
          ALPNProtocols: ["h2"],
        }),
    });
  }

  async function stream(client: http2.ClientHttp2Session, path: string): Promise<string> {
    return text(client.request({ ":path": path }));
  }

  test("answers many streams of one session", async () => {
    const server = http2.createSecureServer(certificate(), (request, response) => {
      response.end(request.url);
    });
    const client = session(await serve(server));
    const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
    expect(await Promise.all(paths.map((path) => stream(client, path)))).toEqual(paths);
    client.close();
    await once(client, "close");
  });

  test("works without TLS as well", async () => {
    const { via, port } = await serve(http2.createServer((_, response) => response.end("plain")));
    const client = http2.connect(`http://localhost:${port}`, {
      createConnection: () => connect({ port, via }),
    });
    expect(await stream(client, "/")).toBe("plain");
    client.close();
  });

  test("carries a large body", async () => {
    const server = http2.createSecureServer(certificate());
    server.on("stream", (of) => {
      of.respond();
      of.pipe(of);
    });
    const client = session(await serve(server));
    const sent = randomBytes(500_000);
    const request = client.request({ ":method": "POST" });
    request.end(sent);
    expect((await buffer(request)).equals(sent)).toBe(true);
    client.close();
  });

  test("resets one stream and goes on with others", async () => {
    const server = http2.createSecureServer(certificate());
    server.on("stream", (of, headers) => {
      of.on("error", () => {});
      if (headers[":path"] === "/bad") of.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      else of.end("good");
    });
    const client = session(await serve(server));
    await expect(stream(client, "/bad")).rejects.toMatchObject({ code: "ERR_HTTP2_STREAM_ERROR" });
    expect(await stream(client, "/good")).toBe("good");
    client.close();
  });
});
