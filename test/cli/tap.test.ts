/** `ixwasm run --tap`: Linux at the other end, in a network namespace of the test's own. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { packets } from "../nic/pcapng-file.ts";
import { BUSY, expectSound } from "../support/expert.ts";
import { Namespace, tapUnavailable } from "../tap/namespace.ts";
import { Place } from "./support.ts";

const unavailable = tapUnavailable("ping");

/** Sends a line to the echo server and prints what comes back. */
const CLIENT = `
  const socket = require("net").connect(7, "10.9.0.2", () => socket.end("hello, dataplane"));
  socket.pipe(process.stdout);
`;

describe.skipIf(unavailable)(
  `ixwasm run --tap${unavailable ? ` (skipped: ${unavailable})` : ""}`,
  () => {
    let place: Place;
    let namespace: Namespace;
    beforeEach(() => {
      place = new Place();
      namespace = new Namespace();
    });
    afterEach(async () => {
      await place.delete();
      await namespace.delete();
    });

    it("serves Linux, captures it, counts it, and takes the interface away in the end", async () => {
      const tap = ["--tap", "ixcli0", "--namespace", namespace.name, "--host", "10.9.0.1/24"];
      const run = await place.run(...tap);
      expect(run.introduction).toContain("NIC: tap ixcli0");

      const file = place.file("tap.pcapng");
      const capture = place.spawn("capture", file);
      await expect.poll(() => readFileSync(file).length, { timeout: 10_000 }).toBeGreaterThan(0);
      const echoed = await namespace.run(process.execPath, ["-e", CLIENT]);
      expect(echoed).toMatchObject({ code: 0, stdout: "hello, dataplane" });
      expect((await namespace.run("ping", ["-c", "1", "10.9.0.2"])).code).toBe(0);
      capture.kill("SIGINT");
      await new Promise((resolve) => capture.once("exit", resolve));

      const frames = packets(readFileSync(file)).map(({ bytes, direction }) => ({
        bytes,
        direction,
      }));
      const tcp = frames.filter(({ bytes }) => bytes[12] === 8 && bytes[23] === 6);
      const withData = tcp.filter(({ bytes }) => Buffer.from(bytes).includes("hello, dataplane"));
      expect(withData.map(({ direction }) => direction)).toEqual([1, 2]);
      expectSound(file, { possible: BUSY });

      const { tap: counters, load } = JSON.parse((await place.ixwasm("stats", "--json")).stdout);
      expect(counters.rxFrames).toBeGreaterThanOrEqual(tcp.length / 2);
      expect(load).toBeUndefined();
      expect((await place.ixwasm("stats", "--prometheus")).stdout).toMatch(
        /^ixwasm_tap_rx_frames_total\{run="echo"\} [1-9]/m,
      );

      expect(await run.stop()).toMatchObject({ code: 0, stderr: "" });
      expect(namespace.ip("link")).not.toContain("ixcli0");
    });

    it("says what is wrong with a name", async () => {
      const { code, stderr } = await place.ixwasm("run", "--tap", "much-too-long-a-name");
      expect([code, stderr]).toEqual([2, expect.stringContaining('"name"')]);
    });

    it("says that the interface is in use", async () => {
      const tap = ["--tap", "ixcli1", "--namespace", namespace.name];
      const run = await place.run(...tap);
      const { code, stderr } = await place.ixwasm("run", ...tap, "--name", "second");
      expect([code, stderr]).toEqual([1, expect.stringContaining("open in another process")]);
      await run.stop();
    });
  },
);
