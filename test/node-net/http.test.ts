/** node:http over it. After node's test-http-*. */
import * as http from "node:http";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { httpAgent, serveHttp } from "../../host/node/net/index.ts";
import type { Host, Socket } from "../../host/node/net/index.ts";
import { aHost, all, closed, connected, once } from "./support.ts";

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Site {
  readonly via: Host;
  readonly server: http.Server;
  readonly port: number;
  readonly agent: http.Agent;
}

/** An HTTP server on a host, and an agent that reaches it. */
async function site(
  listener: http.RequestListener,
  agentOptions: http.AgentOptions = {},
  serverOptions: http.ServerOptions = {},
): Promise<Site> {
  const via = aHost();
  const server = http.createServer(serverOptions, listener);
  const listening = serveHttp(server, { via });
  await once(listening, "listening");
  const agent = httpAgent({ ...agentOptions, via });
  return { via, server, port: listening.address()!.port, agent };
}

function ask({ agent, port }: Site, options: http.RequestOptions = {}): http.ClientRequest {
  return http.request({ agent, port, host: "localhost", ...options });
}

async function answer(request: http.ClientRequest): Promise<http.IncomingMessage> {
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return response;
}

async function get(at: Site, options: http.RequestOptions = {}): Promise<string> {
  return text(await answer(ask(at, options).end()));
}

/** What a server says to text sent as it stands. */
async function raw(at: Site, request: string): Promise<string> {
  const socket = await connected({ port: at.port, via: at.via });
  socket.write(request);
  return (await all(socket)).toString();
}

describe("a request", () => {
  test("is answered", async () => {
    const at = await site((request, response) => response.end(`${request.method} ${request.url}`));
    expect(await get(at, { path: "/a?b=c" })).toBe("GET /a?b=c");
  });

  test("by URL with an agent is answered", async () => {
    const at = await site((_, response) => response.end("ok"));
    const request = http.get(`http://localhost:${at.port}/`, { agent: at.agent });
    expect(await text(await answer(request))).toBe("ok");
  });

  test("knows the addresses of both sides", async () => {
    const at = await site((request, response) => response.end(request.socket.remoteAddress));
    expect(await get(at)).toBe("::ffff:127.0.0.1");
  });

  test("with a body of known length arrives whole", async () => {
    const at = await site((request, response) => void request.pipe(response));
    const body = "x".repeat(500_000);
    const request = ask(at, { method: "POST", headers: { "content-length": body.length } });
    request.end(body);
    expect(await text(await answer(request))).toBe(body);
  });

  test("with a body in chunks arrives whole", async () => {
    const at = await site((request, response) => void request.pipe(response));
    const request = ask(at, { method: "POST" });
    request.write("one ");
    setTimeout(() => request.end("two"), 5);
    const response = await answer(request);
    expect(response.headers["transfer-encoding"]).toBe("chunked");
    expect(await text(response)).toBe("one two");
  });

  test("brings headers and status", async () => {
    const at = await site((request, response) => {
      response.writeHead(418, "teapot", { "x-back": request.headers["x-there"] });
      response.end();
    });
    const response = await answer(ask(at, { headers: { "x-there": "value" } }).end());
    expect([response.statusCode, response.statusMessage]).toEqual([418, "teapot"]);
    expect(response.headers["x-back"]).toBe("value");
    response.resume();
  });

  test("brings trailers", async () => {
    const at = await site((_, response) => {
      response.writeHead(200, { trailer: "x-sum" });
      response.write("data");
      response.addTrailers({ "x-sum": "42" });
      response.end();
    });
    const response = await answer(ask(at).end());
    await text(response);
    expect(response.trailers["x-sum"]).toBe("42");
  });

  test("HEAD has no body", async () => {
    const at = await site((_, response) => response.end("never seen"));
    expect(await get(at, { method: "HEAD" })).toBe("");
  });

  test("where nobody listens fails: ECONNREFUSED", async () => {
    const at = await site(() => {});
    const request = ask({ ...at, port: 9 }).end();
    expect((await once(request, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("with Expect: 100-continue waits for continue", async () => {
    const at = await site((request, response) => void request.pipe(response));
    const request = ask(at, { method: "POST", headers: { expect: "100-continue" } });
    request.flushHeaders();
    await once(request, "continue");
    request.end("afterwards");
    expect(await text(await answer(request))).toBe("afterwards");
  });

  test("may be turned away at checkContinue", async () => {
    const at = await site(() => {});
    at.server.on("checkContinue", (_, response: http.ServerResponse) => {
      response.writeHead(417);
      response.end();
    });
    const request = ask(at, { method: "POST", headers: { expect: "100-continue" } });
    request.flushHeaders();
    const response = await answer(request);
    expect(response.statusCode).toBe(417);
    response.resume();
    request.on("error", () => {});
    request.destroy();
  });

  test("gets early hints first", async () => {
    const at = await site((_, response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      response.end("x");
    });
    const request = ask(at).end();
    const statuses: (number | undefined)[] = [];
    request.on("information", ({ statusCode }) => statuses.push(statusCode));
    const response = await answer(request);
    expect(statuses).toEqual([103]);
    expect(await text(response)).toBe("x");
  });

  test("of fifty at once each gets its own answer", async () => {
    const at = await site((request, response) => response.end(request.url));
    const paths = Array.from({ length: 50 }, (_, index) => `/${index}`);
    expect(await Promise.all(paths.map((path) => get(at, { path })))).toEqual(paths);
  });
});

describe("keep-alive", () => {
  const sockets = (): { seen: Set<unknown>; listener: http.RequestListener } => {
    const seen = new Set<unknown>();
    return {
      seen,
      listener: (request, response) => {
        seen.add(request.socket);
        response.end("ok");
      },
    };
  };

  test("uses one connection for all", async () => {
    const { seen, listener } = sockets();
    const at = await site(listener, { keepAlive: true });
    for (let i = 0; i < 10; i++) await get(at);
    expect(seen.size).toBe(1);
    at.agent.destroy();
  });

  test("says so of a request that comes on a used connection", async () => {
    const at = await site((_, response) => response.end(), { keepAlive: true });
    await get(at);
    const request = ask(at).end();
    await text(await answer(request));
    expect(request.reusedSocket).toBe(true);
    at.agent.destroy();
  });

  test("is not what an agent without it does", async () => {
    const { seen, listener } = sockets();
    const at = await site(listener, { keepAlive: false });
    for (let i = 0; i < 3; i++) await get(at);
    expect(seen.size).toBe(3);
  });

  test("queues what exceeds maxSockets", async () => {
    const { seen, listener } = sockets();
    const at = await site(listener, { keepAlive: true, maxSockets: 2 });
    await Promise.all(Array.from({ length: 10 }, () => get(at)));
    expect(seen.size).toBeLessThanOrEqual(2);
    at.agent.destroy();
  });

  test("ends after keepAliveTimeout", async () => {
    const at = await site((_, response) => response.end("x"), {}, { keepAliveTimeout: 20 });
    const socket = await connected({ port: at.port, via: at.via });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.resume();
    expect(await closed(socket)).toBe(false);
  });

  test("does not end a connection that asks again in time", async () => {
    const at = await site((_, response) => response.end("x"), {}, { keepAliveTimeout: 3000 });
    const socket = await connected({ port: at.port, via: at.via });
    for (let i = 0; i < 3; i++) {
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await once(socket, "data");
    }
    expect(socket.destroyed).toBe(false);
  });
});

describe("a connection", () => {
  test("may carry requests that do not wait for answers", async () => {
    let count = 0;
    const at = await site((_, response) => {
      const own = ++count;
      setTimeout(() => response.end(`<${own}>`), 10 - 3 * own);
    });
    const one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const answers = await raw(at, one + one + last);
    expect(answers.match(/<\d>/g)).toEqual(["<1>", "<2>", "<3>"]);
  });

  test("with a request in pieces is understood", async () => {
    const at = await site((request, response) => response.end(request.url));
    const socket = await connected({ port: at.port, via: at.via });
    const answers = all(socket);
    for (const byte of "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
      socket.write(byte);
      await new Promise(setImmediate);
    }
    expect((await answers).toString()).toContain("/slow");
  });

  test("with nonsense gets 400", async () => {
    const at = await site(() => {});
    expect(await raw(at, "nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("without Host gets 400", async () => {
    const at = await site(() => {});
    expect(await raw(at, "GET / HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("with too many headers gets 431", async () => {
    const at = await site(() => {});
    const header = `x: ${"y".repeat(20_000)}\r\n`;
    expect(await raw(at, `GET / HTTP/1.1\r\nHost: x\r\n${header}\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test("that stops within its headers gets 408", async () => {
    const at = await site(() => {}, {}, { headersTimeout: 20, connectionsCheckingInterval: 10 });
    expect(await raw(at, "GET / HTTP/1.1\r\nHost")).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("of HTTP/1.0 ends with the answer", async () => {
    const at = await site((_, response) => response.end("old"));
    expect(await raw(at, "GET / HTTP/1.0\r\n\r\n")).toContain("old");
  });

  test("is upgraded, and raw from then on", async () => {
    const at = await site(() => {});
    at.server.on("upgrade", (_, socket: Socket) => {
      socket.write("HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
      socket.pipe(socket);
    });
    const request = ask(at, { headers: { connection: "Upgrade", upgrade: "echo" } }).end();
    const [response, socket] = (await once(request, "upgrade")) as [http.IncomingMessage, Socket];
    expect(response.statusCode).toBe(101);
    socket.write("raw bytes");
    expect(String((await once(socket, "data"))[0])).toBe("raw bytes");
    socket.destroy();
  });

  test("is tunnelled by CONNECT", async () => {
    const at = await site(() => {});
    at.server.on("connect", (_, socket: Socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(socket);
    });
    const request = ask(at, { method: "CONNECT", path: "far:1" }).end();
    const [, socket] = (await once(request, "connect")) as [unknown, Socket];
    const answers = all(socket);
    socket.end("inside");
    expect((await answers).toString()).toBe("inside");
  });
});

describe("ending early", () => {
  test("of a request by its client closes the server's side", async () => {
    let gone!: () => void;
    const over = new Promise<void>((resolve) => (gone = resolve));
    const at = await site((request) => request.on("close", gone));
    const request = ask(at).end();
    request.on("error", () => {});
    await once(at.server, "request");
    request.destroy();
    await over;
  });

  test("of a request by an AbortSignal: ABORT_ERR", async () => {
    const at = await site(() => {});
    const controller = new AbortController();
    const request = ask(at, { signal: controller.signal }).end();
    await once(at.server, "request");
    controller.abort();
    expect((await once(request, "error"))[0]).toMatchObject({ code: "ABORT_ERR" });
  });

  test("by the server before the answer: ECONNRESET, socket hang up", async () => {
    const at = await site((request) => request.socket.destroy());
    const [error] = (await once(ask(at).end(), "error")) as [Error];
    expect(error).toMatchObject({ code: "ECONNRESET", message: "socket hang up" });
  });

  test("by the server within the answer: aborted", async () => {
    const at = await site((request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("only this");
      setTimeout(() => request.socket.destroy(), 5);
    });
    const response = await answer(ask(at).end());
    await expect(text(response)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("after a timeout of the request is up to its client", async () => {
    const at = await site(() => {});
    const request = ask(at, { timeout: 10 }).end();
    request.on("error", () => {});
    await once(request, "timeout");
    const over = new Promise((resolve) => request.once("close", resolve));
    request.destroy();
    await over;
  });

  test("after a timeout of the server's sockets", async () => {
    const at = await site(() => {});
    at.server.setTimeout(10);
    const request = ask(at).end();
    expect((await once(request, "error"))[0]).toMatchObject({ code: "ECONNRESET" });
  });

  test("of all connections by closeAllConnections", async () => {
    const at = await site(() => {});
    const request = ask(at).end();
    await once(at.server, "request");
    at.server.closeAllConnections();
    expect((await once(request, "error"))[0]).toMatchObject({ code: "ECONNRESET" });
  });

  test("of idle connections only by closeIdleConnections", async () => {
    let come!: (late: http.ServerResponse) => void;
    const waiting = new Promise<http.ServerResponse>((resolve) => (come = resolve));
    const at = await site((request, response) => {
      if (request.url === "/wait") come(response);
      else response.end("now");
    });
    const idle = await connected({ port: at.port, via: at.via });
    idle.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(idle, "data");
    const busy = get(at, { path: "/wait" });
    const late = await waiting;
    const gone = closed(idle);
    at.server.closeIdleConnections();
    expect(await gone).toBe(false);
    late.end("late");
    expect(await busy).toBe("late");
  });

  test("of the server stops its listening", async () => {
    const at = await site((_, response) => response.end());
    await get(at);
    at.server.close();
    await once(at.server, "close");
    await wait(1);
    const request = ask(at).end();
    expect((await once(request, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("a response", () => {
  test("is held back while its reader is slow", async () => {
    let drained = 0;
    const at = await site((_, response) => {
      let left = 300;
      const more = (): void => {
        while (left-- > 0) if (!response.write(Buffer.alloc(65536))) break;
        if (left <= 0) response.end();
      };
      response.on("drain", () => {
        drained++;
        more();
      });
      more();
    });
    const response = await answer(ask(at).end());
    await wait(20);
    let length = 0;
    for await (const chunk of response) length += (chunk as Buffer).length;
    expect(length).toBeGreaterThan(290 * 65536);
    expect(drained).toBeGreaterThan(0);
  });

  test("of 304 has no body", async () => {
    const at = await site((_, response) => response.writeHead(304).end());
    expect(await get(at)).toBe("");
  });

  test("without length and keep-alive ends with the connection", async () => {
    const at = await site((request) => {
      request.socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    });
    expect(await get(at)).toBe("until the end");
  });
});
