/** Unmodified programs under `node --import ixwasm/register`. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { certificate } from "../support/certificate.ts";

const register = new URL("../../dist/host/node/register/index.js", import.meta.url).href;

let folder: string;
let secrets: { KEY: string; CERT: string };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "register-"));
  secrets = { KEY: join(folder, "key.pem"), CERT: join(folder, "cert.pem") };
  const { key, cert } = certificate();
  writeFileSync(secrets.KEY, key);
  writeFileSync(secrets.CERT, cert);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** What a program prints, by lines. It has to end by itself. */
async function run(name: string, environment: Record<string, string> = {}): Promise<string[]> {
  const program = fileURLToPath(new URL(`programs/${name}`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", register, program], {
    env: { ...process.env, ...secrets, ...environment },
    timeout: 20_000,
  });
  return stdout.trimEnd().split("\n");
}

test("an HTTP server and fetch in one process", async () => {
  expect(await run("http-fetch.mjs")).toEqual([
    "200 /hello",
    "from: ::ffff:127.0.0.1",
    "family: IPv6",
    "instances: true",
    "pending: false, IPv4",
  ]);
});

test("a CommonJS program whose agent keeps its connection", async () => {
  expect(await run("keep-alive.cjs")).toEqual(["/1 /2 /3 sockets: 1 127.0.0.1"]);
});

test("an Express application", async () => {
  expect(await run("express.mjs")).toEqual(["201 ada 1815 ::ffff:127.0.0.1"]);
});

test("a TLS server and its client", async () => {
  expect((await run("tls-echo.mjs")).sort()).toEqual([
    "authorized true",
    "echoed later",
    "echoed over TLS",
    "from 127.0.0.1 true",
    "from 127.0.0.1 true",
  ]);
});

test("HTTPS and HTTP/2", async () => {
  expect(await run("secure-web.mjs")).toEqual(["/https /http2"]);
});

test("datagrams", async () => {
  expect(await run("dgram-echo.mjs")).toEqual(["over UDP 5353 true"]);
});

test("refusals, back-pressure, half-open connections, pipes, timeouts", async () => {
  expect(await run("net-edges.mjs")).toEqual([
    "ECONNREFUSED connect 9 true",
    `${8 << 20} ${8 << 20}`,
    "EADDRINUSE false",
    "after your end 5",
    "a pipe is Node's own",
    "timeout",
  ]);
});

test("child processes and addresses elsewhere are the system's", async () => {
  expect(await run("child.mjs")).toEqual(["child: pipes stay"]);
});

test("ports that are passed on are the system's, to connect to and to listen on", async () => {
  const system = createServer((socket) => socket.end("the system")).listen(0);
  await once(system, "listening");
  const { port } = system.address() as AddressInfo;
  const environment = { ELSEWHERE: `${port}`, SERVED: `${port}` };
  const program = run("pass.mjs", { ...environment, IXWASM_PASS: `localhost:${port}, 1` });
  expect(await program).toEqual([
    "the dataplane",
    "the system the system",
    "the system says EADDRINUSE",
  ]);
  system.close();
});

test("a list of ports that is none is refused", async () => {
  await expect(run("dgram-echo.mjs", { IXWASM_PASS: "5432;80" })).rejects.toThrow(
    'like "5432,localhost:6379", not "5432;80"',
  );
});

test("a TAP device without an address of its own is refused", async () => {
  await expect(run("dgram-echo.mjs", { IXWASM_TAP: "tap77" })).rejects.toThrow(
    'IXWASM_TAP needs IXWASM_IP, like "10.9.0.2/24"',
  );
});
