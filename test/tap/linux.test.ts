/**
 * Linux's own TCP/IP against the dataplane through a TAP device: its ping, its curl, its sockets. The
 * whole conversation is captured, and Wireshark's dissector is the judge of every packet.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { patternBytes } from "../../examples/http-responder-app.ts";
import type { KernelBuild } from "../../host/node/index.ts";
import { BUSY } from "../support/expert.ts";
import { captureUnavailable, startCapture, withoutCapture } from "./capture.ts";
import { Namespace, tapUnavailable } from "./namespace.ts";
import {
  DATAPLANE,
  LINUX,
  type Responder,
  type ResponderOptions,
  startResponder,
  THREE_PINGS,
} from "./responder.ts";

const CLIENT = fileURLToPath(new URL("client.mjs", import.meta.url));
const URL_BASE = `http://${DATAPLANE}`;

const unavailable = tapUnavailable("ping", "curl", "cmp");

const crc = (bytes: Uint8Array): string => crc32(bytes).toString(16).padStart(8, "0");
const rate = (bytesPerSecond: string): string =>
  `${((Number(bytesPerSecond) * 8) / 1e9).toFixed(2)} Gbit/s`;
const reason = (why: string | undefined): string => (why ? ` (skipped: ${why})` : "");

describe.skipIf(unavailable).each<[KernelBuild, "inline" | "threaded"]>([
  ["debug", "inline"],
  ["release", "threaded"],
])(`Linux and the %s kernel, %s${reason(unavailable)}`, (build, run) => {
  let responder: Responder;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ixwasm-"));
    responder = await startResponder({ build, run });
  });

  afterAll(async () => {
    await responder.stop();
    rmSync(directory, { recursive: true });
  });

  afterEach(() => responder.settle());

  /** Runs a program in the namespace, which must succeed. Returns what it prints. */
  const linux = async (program: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await responder.namespace.run(program, args);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return stdout;
  };

  const curl = (...args: string[]): Promise<string> => linux("curl", "-sS", "-m", "10", ...args);

  /** Runs client.mjs in the namespace. */
  async function client<T>(command: string, options: object): Promise<T> {
    const all = JSON.stringify({ host: DATAPLANE, ...options });
    return JSON.parse(await linux(process.execPath, CLIENT, command, all)) as T;
  }

  it.each([0, 1, 56, 1471, 1472])("ping: %i bytes come back", async (size) => {
    const output = await linux("ping", ...THREE_PINGS, "-s", `${size}`, DATAPLANE);
    expect(output).toContain("3 packets transmitted, 3 received, 0% packet loss");
    expect(output).not.toMatch(/wrong data|DUP|checksum/i);
  });

  it("answers ARP", async () => {
    responder.namespace.ip("neigh", "flush", "dev", "tap0");
    await linux("ping", "-c", "1", DATAPLANE);
    const mac = Buffer.from(responder.dataplane.port.mac).toString("hex").match(/../g)!.join(":");
    expect(responder.namespace.ip("neigh", "show", DATAPLANE)).toContain(`lladdr ${mac} REACHABLE`);
  });

  it("refuses what nobody listens for", async () => {
    expect(await client("refused", {})).toEqual({ tcp: "ECONNREFUSED", udp: "ECONNREFUSED" });
  });

  describe("curl", () => {
    it("gets a page", async () => {
      const output = await curl("-i", `${URL_BASE}/`);
      expect(output).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(output).toContain("<h1>It works</h1>");
    });

    it("keeps its connection for the next request, unless told otherwise", async () => {
      const urls = ["/", "/bytes/5000", "/none", "/"].map((path) => URL_BASE + path);
      const count = ["-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null"];
      const format = ["-w", "%{http_code} %{num_connects}\\n"];
      expect(await curl(...count, ...format, ...urls)).toBe("200 1\n200 0\n404 0\n200 0\n");
      const close = ["-H", "Connection: close"];
      expect(await curl(...close, ...count, ...format, ...urls)).toBe(
        "200 1\n200 1\n404 1\n200 1\n",
      );
      expect(await curl("-0", ...count, ...format, ...urls)).toBe("200 1\n200 1\n404 1\n200 1\n");
    });

    it("asks for heads alone", async () => {
      const output = await curl("-I", `${URL_BASE}/bytes/12345`, `${URL_BASE}/none`);
      expect(output).toMatch(/200 OK[^]*Content-Length: 12345[^]*404 Not Found/);
    });

    it.each([0, 1, 1460, 1461, 999_984])("gets %i bytes", async (size) => {
      const file = join(directory, "bytes");
      await curl("-o", file, `${URL_BASE}/bytes/${size}`);
      const bytes = size === 0 ? new Uint8Array() : readFileSync(file);
      expect(bytes.length).toBe(size);
      expect(crc(bytes)).toBe(crc(patternBytes(size)));
    });

    it("puts and posts", async () => {
      const file = join(directory, "upload");
      // curl asks to be told to continue before it sends more than a megabyte.
      for (const size of [0, 1, 100_000, 2_000_000]) {
        const bytes = randomBytes(size);
        writeFileSync(file, bytes);
        const expected = { bytes: size, crc32: crc(bytes) };
        expect(JSON.parse(await curl("-T", file, `${URL_BASE}/sink`))).toEqual(expected);
        const post = await curl("--data-binary", `@${file}`, `${URL_BASE}/sink`);
        expect(JSON.parse(post)).toEqual(expected);
      }
    });

    it("is told what it does wrong", async () => {
      const status = ["-o", "/dev/null", "-w", "%{http_code}"];
      expect(await curl(...status, "-X", "DELETE", `${URL_BASE}/`)).toBe("405");
      expect(await curl(...status, `${URL_BASE}/sink`)).toBe("405");
      expect(await curl(...status, "-H", `X: ${"x".repeat(20_000)}`, `${URL_BASE}/`)).toBe("431");
      const chunked = ["-H", "Transfer-Encoding: chunked", "-d", "some", `${URL_BASE}/sink`];
      expect(await curl(...status, ...chunked)).toBe("411");
    });
  });

  describe("sockets", () => {
    const request = "GET /bytes/3000 HTTP/1.1\r\nHost: test\r\n\r\n";
    interface Talk {
      responses: { status: number; length: number; crc32: string }[];
      end: { left: number; error?: string };
    }

    it("send requests in one piece, and byte by byte", async () => {
      const answer = { status: 200, length: 3000, crc32: crc(patternBytes(3000)) };
      const pipelined = await client<Talk>("talk", { text: request.repeat(20), responses: 20 });
      expect(pipelined.responses).toHaveLength(20);
      for (const response of pipelined.responses) expect(response).toMatchObject(answer);
      const slow = await client<Talk>("talk", { text: request, piece: 1, pause: 2 });
      expect(slow).toMatchObject({ responses: [answer], end: { left: 0 } });
    });

    it("close their sending side before the response comes", async () => {
      const bytes = 300_000;
      expect(await client("halfClose", { bytes })).toEqual({
        length: bytes,
        crc32: crc(patternBytes(bytes)),
        end: { left: 0 },
      });
    });

    it("reset connections in mid-transfer", async () => {
      await client("reset", { count: 20 });
    });

    it("read slowly: the window closes and opens again", async () => {
      const bytes = 30_000_000;
      expect(await client("slowReader", { bytes, pause: 1500 })).toEqual({ read: bytes });
    });

    it("open 1000 connections at once", { timeout: 60_000 }, async () => {
      const accepts = responder.dataplane.counters().tcpAccepts;
      const bytes = 10_000;
      expect(await client("parallel", { count: 1000, bytes, rounds: 2 })).toEqual({
        statuses: { 200: 2000 },
        checksums: [crc(patternBytes(bytes))],
        clean: true,
      });
      expect(responder.dataplane.counters().tcpAccepts - accepts).toBe(1000);
    });
  });

  it.skipIf(captureUnavailable)(
    `Wireshark finds nothing wrong with either side${withoutCapture}`,
    { timeout: 120_000 },
    async () => {
      // Tests above refuse connections, reset them, and read so slowly that the window closes.
      const provoked = [
        /^TCP: Connection reset/,
        /^TCP: TCP Zero Window segment/,
        /^TCP: TCP window specified by the receiver is now completely full/,
      ];
      await responder.capture.expectSound({ provoked, possible: BUSY });
    },
  );
});

describe.skipIf(unavailable).each<[string, ResponderOptions]>([
  ["two cores, each with a queue", { cores: 2 }],
  ["two cores without checksums", { cores: 2, checksumOffload: true }],
])(`Linux and %s${reason(unavailable)}`, (_, options) => {
  it("get on", { timeout: 60_000 }, async () => {
    const responder = await startResponder(options);
    try {
      const { namespace, dataplane, tap } = responder;
      const bytes = 100_000;
      const request = JSON.stringify({ host: DATAPLANE, count: 200, bytes, rounds: 2 });
      const result = await namespace.run(process.execPath, [CLIENT, "parallel", request]);
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(result.stdout)).toEqual({
        statuses: { 200: 400 },
        checksums: [crc(patternBytes(bytes))],
        clean: true,
      });
      await responder.settle();
      const accepts = dataplane.cores.map(({ id }) => dataplane.counters(id).tcpAccepts);
      expect(accepts[0] + accepts[1]).toBe(200);
      expect(Math.min(...accepts)).toBeGreaterThan(50);
      expect(Math.min(tap.counters(0).rxFrames, tap.counters(1).rxFrames)).toBeGreaterThan(1000);
      expect(dataplane.counters().dropTcpChecksum).toBe(0);
      // Where the NIC fills checksums in, a capture has them before it does.
      const offloaded = options.checksumOffload ? [/^TCP: Bad checksum/] : [];
      await responder.capture.expectSound({ provoked: offloaded, possible: BUSY });
    } finally {
      await responder.stop();
    }
  });
});

describe.skipIf(unavailable)(`the HTTP responder as a program${reason(unavailable)}`, () => {
  it("serves until it is told to end", async () => {
    const namespace = new Namespace();
    try {
      const program = namespace.start(
        process.execPath,
        fileURLToPath(new URL("../../dist/examples/http-responder.js", import.meta.url)),
        "--tap",
        "tap0",
        "--ip",
        `${DATAPLANE}/24`,
        "--host",
        `${LINUX}/24`,
      );
      let output = "";
      program.stdout!.on("data", (chunk: Buffer) => (output += chunk.toString()));
      const ended = new Promise((resolve) => program.once("close", resolve));
      await Promise.race([new Promise((resolve) => program.stdout!.once("data", resolve)), ended]);
      expect(output).toContain(`${URL_BASE}:80/ is behind tap0`);
      const capture = await startCapture(namespace);
      const page = await namespace.run("curl", ["-sS", "-m", "10", `${URL_BASE}/`]);
      expect(page).toMatchObject({ code: 0, stdout: expect.stringContaining("It works") });
      await capture.expectSound({ possible: BUSY });
      await capture.delete();
      program.kill("SIGTERM");
      expect(await ended).toBe(0);
      expect(JSON.parse(output.trim().split("\n").at(-1)!).counters.tcpAccepts).toBe(1);
    } finally {
      await namespace.delete();
    }
  });
});

describe.skipIf(unavailable)(`Linux over a bad wire${reason(unavailable)}`, () => {
  it("sends and gets every byte in order", { timeout: 60_000 }, async () => {
    const worse = { delay: 1000, loss: 0.02, reorder: 0.01, duplicate: 0.01, corrupt: 0.005 };
    const link = [
      { ...worse, seed: 11 },
      { ...worse, seed: 12 },
    ] as const;
    const responder = await startResponder({ build: "debug", link });
    try {
      const bytes = randomBytes(1_000_000);
      const url = (path: string): string[] => ["-sS", "-m", "25", URL_BASE + path];
      const input = { input: bytes, timeout: 30_000 };
      const { namespace } = responder;
      const up = await namespace.run("curl", ["--data-binary", "@-", ...url("/sink")], input);
      expect(up).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(up.stdout)).toEqual({ bytes: bytes.length, crc32: crc(bytes) });
      const size = 1_000_003;
      const down = await namespace.run("curl", ["-o", "-", ...url(`/bytes/${size}`)], {
        timeout: 30_000,
        binary: true,
      });
      expect(down).toMatchObject({ code: 0, stderr: "" });
      expect(crc(Buffer.from(down.stdout, "latin1"))).toBe(crc(patternBytes(size)));
      expect(responder.dataplane.counters().tcpRetransmits).toBeGreaterThan(0);
      expect(responder.dataplane.counters().dropTcpChecksum).toBeGreaterThan(0);
      await responder.settle();
      // What the wire has corrupted is not what was sent; the rest of it the capture sees as Linux does. When it
      // brings the last segment of a connection twice or late, a RST says that there is none any more.
      const whole = "ip.checksum.status == 1 && tcp.checksum.status == 1";
      const unknown = "tcp.flags.reset == 1 && tcp.flags.ack == 0";
      await responder.capture.expectSound({
        filter: `ip.src == ${DATAPLANE} && ${whole} && !(${unknown})`,
        provoked: [/^TCP: Previous segment/, /^TCP: This frame is a \(suspected\) out-of-order/],
        possible: [/^TCP: ACKed segment that wasn't captured/, ...BUSY],
      });
    } finally {
      await responder.stop();
    }
  });
});

/** Bytes of a bulk transfer. */
const BULK = 100_000_000;

describe.skipIf(unavailable)(`100 MB from and to Linux${reason(unavailable)}`, () => {
  let responder: Responder;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ixwasm-"));
    responder = await startResponder({ capture: { snapLength: 128 } });
  });

  afterAll(async () => {
    await responder.stop();
    rmSync(directory, { recursive: true });
  });

  const path = (name: string): string => join(directory, name);
  const curl = (...args: string[]) =>
    responder.namespace.run("curl", ["-sS", "-m", "100", ...args], { timeout: 110_000 });
  const cmp = (a: string, b: string) => responder.namespace.run("cmp", [path(a), path(b)]);

  it("arrive as they were sent", { timeout: 120_000 }, async () => {
    writeFileSync(path("pattern"), patternBytes(BULK));
    const down = await curl(
      "-o",
      path("down"),
      "-w",
      "%{speed_download}",
      `${URL_BASE}/bytes/${BULK}`,
    );
    expect(down).toMatchObject({ code: 0, stderr: "" });
    expect(await cmp("pattern", "down")).toMatchObject({ code: 0, stdout: "" });

    const random = randomBytes(BULK);
    writeFileSync(path("random"), random);
    const up = await curl("-T", path("random"), "-w", "%{speed_upload}", `${URL_BASE}/sink`);
    expect(up).toMatchObject({ code: 0, stderr: "" });
    const [result, speed] = up.stdout.split("\n");
    expect(JSON.parse(result)).toEqual({ bytes: BULK, crc32: crc(random) });

    const echo = await curl("-T", path("random"), "-o", path("echo"), `${URL_BASE}/echo`);
    expect(echo).toMatchObject({ code: 0, stderr: "" });
    expect(await cmp("random", "echo")).toMatchObject({ code: 0, stdout: "" });

    await responder.settle();
    const { tcpRetransmits } = responder.dataplane.counters();
    const speeds = `to Linux ${rate(down.stdout)}, from Linux ${rate(speed)}`;
    console.log(`${speeds}; ${tcpRetransmits} segments sent again`);
  });

  it.skipIf(captureUnavailable)(
    `have headers that Wireshark finds nothing wrong with${withoutCapture}`,
    { timeout: 120_000 },
    () => responder.capture.expectSound({ possible: BUSY }),
  );
});
