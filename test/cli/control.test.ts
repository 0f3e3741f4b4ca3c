/** The control socket against clients that do not know, or do not care, how to behave. */
import { createServer } from "node:net";
import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MAX_REQUEST } from "../../host/node/cli/protocol.ts";
import { LIGHT, Place, RawClient, type LiveRun } from "./support.ts";

let place: Place;
let run: LiveRun;
beforeAll(async () => {
  place = new Place();
  run = await place.run(...LIGHT);
});
afterAll(async () => {
  // Whatever was done to it, it ends as it should.
  expect(await run.stop()).toMatchObject({ code: 0, stderr: "" });
  expect(run.hasSocket).toBe(false);
  await place.delete();
});

const clients: RawClient[] = [];
const connect = (): RawClient => {
  const client = new RawClient(run.socket);
  clients.push(client);
  return client;
};
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  expect(await place.ixwasm("stats")).toMatchObject({ code: 0 });
});

describe("the control socket", () => {
  it.each([
    ["garbage", "not JSON"],
    ["{", "not JSON"],
    ["null", "must be a string"],
    ["[1,2]", "must be a string"],
    ["17", "must be a string"],
    ['{"id":1}', "must be a string"],
    ['{"command":7}', "must be a string"],
    ['{"id":{},"command":"stats"}', "must be a number or a string"],
    ['{"command":"selfDestruct"}', 'there is no command "selfDestruct", only stats, '],
    ['{"command":"toString"}', "there is no command"],
    ["\u0000\u00ff\u0001", "not JSON"],
  ])("answers %j with an error, and goes on", async (line, message) => {
    const client = connect();
    client.send(`${line}\n{"id":5,"command":"stats"}\n`);
    const replies = await client.take(2);
    expect(replies).toContainEqual({
      error: { code: "EINVAL", message: expect.stringContaining(message) },
    });
    expect(replies).toContainEqual({ id: 5, result: expect.objectContaining({ name: "echo" }) });
  });

  it("gives every request its own reply, however they are cut up", async () => {
    const client = connect();
    const lines = Array.from({ length: 20 }, (_, id) => `{"id":${id},"command":"stats"}\n`).join(
      "",
    );
    for (let at = 0; at < lines.length; at += 7) client.send(lines.slice(at, at + 7));
    const replies = (await client.take(20)) as { id: number }[];
    expect(replies.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, id) => id));
  });

  it("takes a line of the longest size, and ends the connection on a longer one", async () => {
    const client = connect();
    const request = '{"id":1,"command":"stats"}';
    client.send(`${request.padEnd(MAX_REQUEST)}\n`);
    expect(await client.take()).toMatchObject([{ id: 1, result: {} }]);
    client.send(Buffer.alloc(MAX_REQUEST + 1, "x"));
    expect(await client.take()).toMatchObject([{ error: { code: "EMSGSIZE" } }]);
    await client.ended();
  });

  it("survives clients that leave in the middle of anything", async () => {
    for (const text of ["", '{"id":1,"com', '{"command":"stats"}\n', '{"command":"capture"}\n']) {
      for (let i = 0; i < 5; i++) {
        const client = connect();
        client.send(text);
        client.socket.end();
        client.socket.destroy();
      }
    }
  });

  it("lets go of a client that asks and asks and never reads", async () => {
    const client = connect();
    client.socket.pause();
    const lines = '{"command":"stats"}\n'.repeat(500);
    await expect
      .poll(
        () => {
          if (!client.socket.destroyed) client.send(lines);
          client.socket.resume();
          client.socket.pause();
          return client.closed || client.socket.destroyed;
        },
        { timeout: 20_000, interval: 20 },
      )
      .toBe(true);
  });

  it("serves many clients, and no more than it should", async () => {
    const many = Array.from({ length: 100 }, connect);
    for (const client of many) client.send('{"id":1,"command":"stats"}\n');
    const served = await Promise.all(many.map((client) => client.take()));
    expect(served.filter((replies) => replies.length === 1).length).toBe(64);
  });
});

describe("a client's ways to a run", () => {
  it.each([
    ["no such socket", ["--socket", "/nowhere.sock"], "there is no such socket"],
    ["no such name", ["--name", "nobody"], "there is no such socket"],
    ["a file", ["--socket", "FILE"], "cannot reach a run"],
  ])("%s is explained", async (_, args, message) => {
    const file = place.file("a-file");
    writeFileSync(file, "");
    const given = args.map((arg) => (arg === "FILE" ? file : arg));
    const { code, stderr } = await place.ixwasm("stats", ...given);
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  it("a server that is no run is found out", async () => {
    const path = place.file("other.sock");
    const other = createServer((socket) => socket.end("220 smtp.example ESMTP\n")).listen(path);
    try {
      const { code, stderr } = await place.ixwasm("stats", "--socket", path);
      expect([code, stderr]).toEqual([1, expect.stringContaining("is no ixwasm run")]);
    } finally {
      other.close();
    }
  });

  it("a name or a socket finds one of two runs; without, both are listed", async () => {
    const second = await place.run(...LIGHT, "--name", "second");
    try {
      const { code, stderr } = await place.ixwasm("stats");
      expect(code).toBe(1);
      expect(stderr).toContain("2 runs are alive; choose one with");
      expect(stderr).toContain(`--socket ${run.socket}`);
      expect(stderr).toContain(`--socket ${second.socket}`);
      for (const target of [
        ["--name", "second"],
        ["--socket", second.socket],
      ]) {
        const { stdout } = await place.ixwasm("stats", "--json", ...target);
        expect(JSON.parse(stdout).pid).toBe(second.child.pid);
      }
      const both = await place.ixwasm("stats", "--name", "a", "--socket", "b");
      expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("not both")]);
    } finally {
      await second.stop();
    }
  });

  it("a run that ends while somebody looks is an error, not a hang", async () => {
    const second = await place.run(...LIGHT, "--name", "brief");
    const child = place.spawn("top", "--json", "--interval", "50", "--name", "brief");
    let stderr = "";
    child.stderr!.on("data", (chunk) => (stderr += chunk));
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    const exit = new Promise((resolve) => child.once("close", resolve));
    await second.stop();
    expect(await exit).toBe(1);
    expect(stderr).toMatch(/^error: the run at .*brief\.sock has ended\n$/);
  });
});
