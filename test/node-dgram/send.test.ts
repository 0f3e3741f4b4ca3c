/** Sending and receiving. After node's test-dgram-send-*, -msgsize, -oob-buffer, -multicast-*, -connect*. */
import { describe, expect, test } from "vitest";
import { aHost, bound, neighbourOf, once, received, sent, settle, unbound } from "./support.ts";

describe("send", () => {
  test("brings bytes and who sent them", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const [from, to] = [await bound(via), await bound(other)];
    const arrival = received(to);
    from.send("hello", to.address().port, "other");
    expect(await arrival).toEqual({
      text: "hello",
      remote: { address: via.address, family: "IPv4", port: from.address().port, size: 5 },
    });
  });

  test("binds a socket that is not bound", async () => {
    const via = aHost();
    const to = await bound(via);
    const from = unbound(via);
    const arrival = received(to);
    from.send("x", to.address().port);
    const { remote } = await arrival;
    expect(from.address().port).toBe(remote.port);
  });

  test.each(["127.0.0.1", "localhost", "0.0.0.0", ""])("reaches itself as %j", async (address) => {
    const socket = await bound(aHost());
    const arrival = received(socket);
    socket.send("me", socket.address().port, address);
    expect((await arrival).text).toBe("me");
  });

  test("calls back with the number of bytes", async () => {
    const via = aHost();
    const to = await bound(via);
    const { port } = to.address();
    const from = await bound(via);
    expect(await sent((done) => from.send("four", port, done))).toBe(4);
    expect(await sent((done) => from.send("four", port, "localhost", done))).toBe(4);
    expect(await sent((done) => from.send(Buffer.from("a four b"), 2, 4, port, done))).toBe(4);
  });

  test("sends a part of a buffer", async () => {
    const socket = await bound(aHost());
    const arrival = received(socket);
    socket.send(Buffer.from("-hello-"), 1, 5, socket.address().port, "localhost");
    expect((await arrival).text).toBe("hello");
  });

  test("gathers a list", async () => {
    const socket = await bound(aHost());
    const arrival = received(socket);
    socket.send(["he", Buffer.from("ll"), new Uint8Array([111])], socket.address().port);
    expect((await arrival).text).toBe("hello");
  });

  test.each([{ empty: "" }, { empty: [] }, { empty: Buffer.alloc(0) }])(
    "sends nothing at all: $empty",
    async ({ empty }) => {
      const socket = await bound(aHost());
      const arrival = received(socket);
      socket.send(empty, socket.address().port);
      expect((await arrival).remote.size).toBe(0);
    },
  );

  test("takes views of other shapes", async () => {
    const socket = await bound(aHost());
    const arrival = received(socket);
    socket.send(new DataView(Uint8Array.of(0, 65, 66).buffer, 1), socket.address().port);
    expect((await arrival).text).toBe("AB");
  });

  test("keeps what was sent when the buffer changes", async () => {
    const socket = await bound(aHost());
    const arrival = received(socket);
    const buffer = Buffer.from("before");
    socket.send(buffer, socket.address().port);
    buffer.fill("x");
    expect((await arrival).text).toBe("before");
  });

  test("brings datagrams that take fragments, whole", async () => {
    const via = aHost();
    const to = await bound(neighbourOf(via, "other"));
    const bytes = Buffer.from(Array.from({ length: 60_000 }, (_, i) => i * 7));
    const arrival = once(to, "message");
    (await bound(via)).send(bytes, to.address().port, "other");
    const [message] = await arrival;
    expect(Buffer.compare(message as Buffer, bytes)).toBe(0);
  });

  test("brings 200 at once, in order", async () => {
    const via = aHost();
    const to = await bound(neighbourOf(via, "other"));
    const from = await bound(via);
    // What waits for the neighbour to be found is few.
    const first = received(to);
    from.send("first", to.address().port, "other");
    await first;
    const numbers: number[] = [];
    const all = new Promise<void>((resolve) => {
      to.on("message", (message) => numbers.push(Number(message)) === 200 && resolve());
    });
    for (let i = 0; i < 200; i++) from.send(String(i), to.address().port, "other");
    expect(from.getSendQueueCount()).toBe(200);
    await all;
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect([from.getSendQueueCount(), from.getSendQueueSize()]).toEqual([0, 0]);
  });

  test("fails when a datagram is too large", async () => {
    const socket = await bound(aHost());
    const sending = sent((done) => socket.send(Buffer.alloc(65_508), 1, "localhost", done));
    await expect(sending).rejects.toMatchObject({ code: "EMSGSIZE", syscall: "send" });
  });

  test("fails for a name that nobody has, by callback or event", async () => {
    const socket = await bound(aHost());
    const sending = sent((done) => socket.send("x", 1, "no.such.host", done));
    await expect(sending).rejects.toMatchObject({ code: "ENOTFOUND" });
    socket.send("x", 1, "no.such.host");
    const error = await new Promise((resolve) => socket.once("error", resolve));
    expect(error).toMatchObject({ code: "ENOTFOUND" });
  });

  test.each([0, -1, 65536, "x", undefined, null])("refuses port %j", (port) => {
    expect(() => unbound(aHost()).send("x", port as number)).toThrow(
      expect.objectContaining({ code: "ERR_SOCKET_BAD_PORT" }),
    );
  });

  test.each([1, null, undefined, {}, [1]])("refuses the message %j", (message) => {
    expect(() => unbound(aHost()).send(message as string, 1)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });

  test.each([
    [4, 1, "offset"],
    [0, 4, "length"],
  ])("refuses %d and %d of three bytes", (offset, length, name) => {
    expect(() => unbound(aHost()).send(Buffer.alloc(3), offset, length, 1, "localhost")).toThrow(
      expect.objectContaining({
        code: "ERR_BUFFER_OUT_OF_BOUNDS",
        message: expect.stringContaining(name),
      }),
    );
  });

  test("refuses an address that is no text", () => {
    expect(() => unbound(aHost()).send("x", 1, 127 as never)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });

  test("asks a lookup function", async () => {
    const via = aHost();
    const to = await bound(via);
    const from = await bound(via, 0, {
      lookup: (_name, _options, found) => found(null, via.address, 4),
    });
    const arrival = received(to);
    from.send("x", to.address().port, "made.up");
    expect((await arrival).text).toBe("x");
  });

  test("reaches udp4 from udp6, which sees mapped addresses", async () => {
    const via = aHost();
    const [six, four] = [await bound(via, 0, { type: "udp6" }), await bound(via)];
    const arrival = received(six);
    four.send("4", six.address().port);
    const { remote } = await arrival;
    expect(remote).toMatchObject({ address: `::ffff:${via.address}`, family: "IPv6" });
    const answer = received(four);
    six.send("6", remote.port, remote.address);
    expect((await answer).text).toBe("6");
  });
});

describe("connect", () => {
  test("lets send do without an address, and only the peer in", async () => {
    const via = aHost();
    const [peer, stranger, socket] = [await bound(via), await bound(via), await bound(via)];
    socket.connect(peer.address().port);
    await once(socket, "connect");
    expect(socket.remoteAddress()).toEqual({
      address: via.address,
      family: "IPv4",
      port: peer.address().port,
    });
    const arrival = received(peer);
    expect(await sent((done) => socket.send("hello", done))).toBe(5);
    expect((await arrival).text).toBe("hello");
    const texts: string[] = [];
    socket.on("message", (message) => texts.push(message.toString()));
    stranger.send("stranger", socket.address().port);
    peer.send("peer", socket.address().port);
    await expect.poll(() => texts).toContain("peer");
    expect(texts).toEqual(["peer"]);
  });

  test("sends a part of a buffer too", async () => {
    const via = aHost();
    const [peer, socket] = [await bound(via), unbound(via)];
    await new Promise<void>((done) => socket.connect(peer.address().port, "localhost", done));
    const arrival = received(peer);
    socket.send(Buffer.from("-part-"), 1, 4);
    expect((await arrival).text).toBe("part");
  });

  test("refuses another address, and to be done twice", async () => {
    const via = aHost();
    const socket = unbound(via);
    await new Promise<void>((done) => socket.connect(1, done));
    const refused = expect.objectContaining({ code: "ERR_SOCKET_DGRAM_IS_CONNECTED" });
    expect(() => socket.connect(2)).toThrow(refused);
    expect(() => socket.send("x", 2 as never)).toThrow(refused);
  });

  test("is undone by disconnect", async () => {
    const via = aHost();
    const [peer, stranger, socket] = [await bound(via), await bound(via), await bound(via)];
    await new Promise<void>((done) => socket.connect(peer.address().port, done));
    socket.disconnect();
    const arrival = received(socket);
    stranger.send("anybody", socket.address().port);
    expect((await arrival).text).toBe("anybody");
    const refused = expect.objectContaining({ code: "ERR_SOCKET_DGRAM_NOT_CONNECTED" });
    expect(() => socket.remoteAddress()).toThrow(refused);
    expect(() => socket.disconnect()).toThrow(refused);
  });

  test("hears that nobody is there", async () => {
    const socket = unbound(aHost());
    await new Promise<void>((done) => socket.connect(9, done));
    const failed = new Promise((resolve) => socket.once("error", resolve));
    socket.send("anybody?");
    expect(await failed).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("fails for a name that nobody has, and can be tried again", async () => {
    const socket = unbound(aHost());
    const error = await new Promise((done) =>
      socket.connect(1, "no.such.host", done as () => void),
    );
    expect(error).toMatchObject({ code: "ENOTFOUND" });
    await new Promise<void>((done) => socket.connect(1, done));
  });
});

describe("groups", () => {
  test("are received by members alone", async () => {
    const via = aHost();
    const [member, other] = [neighbourOf(via, "member"), neighbourOf(via, "other")];
    const [inside, outside] = [await bound(member, 5000), await bound(other, 5000)];
    inside.addMembership("239.1.2.3");
    const texts: string[] = [];
    outside.on("message", (message) => texts.push(message.toString()));
    await settle();
    const arrival = received(inside);
    (await bound(via)).send("all", 5000, "239.1.2.3");
    expect((await arrival).text).toBe("all");
    expect(texts).toEqual([]);
  });

  test("are left", async () => {
    const via = aHost();
    const socket = await bound(neighbourOf(via, "member"), 5000);
    socket.addMembership("239.1.2.3");
    socket.dropMembership("239.1.2.3");
    const texts: string[] = [];
    socket.on("message", (message) => texts.push(message.toString()));
    (await bound(via)).send("all", 5000, "239.1.2.3");
    await settle();
    expect(texts).toEqual([]);
  });

  test("reach members on the sending host, unless loopback is off", async () => {
    const via = aHost();
    const socket = await bound(via, 5000);
    socket.addMembership("239.1.2.3");
    const arrival = received(socket);
    socket.send("me too", 5000, "239.1.2.3");
    expect(await arrival).toMatchObject({ text: "me too", remote: { address: via.address } });
    socket.setMulticastLoopback(false);
    const texts: string[] = [];
    socket.on("message", (message) => texts.push(message.toString()));
    socket.send("not me", 5000, "239.1.2.3");
    await settle();
    expect(texts).toEqual([]);
  });

  test.each([
    ["addMembership", "10.0.0.1", "EINVAL"],
    ["addMembership", "no address", "EINVAL"],
    ["dropMembership", "239.1.2.3", "EADDRNOTAVAIL"],
  ] as const)("%s refuses %s with %s", async (method, group, code) => {
    const socket = await bound(aHost());
    expect(() => socket[method](group)).toThrow(expect.objectContaining({ code, syscall: method }));
  });

  test("demand an address", async () => {
    const socket = await bound(aHost());
    expect(() => socket.addMembership("")).toThrow(
      expect.objectContaining({ code: "ERR_MISSING_ARGS" }),
    );
  });
});

describe("settings", () => {
  test("broadcast needs permission", async () => {
    const via = aHost();
    const to = await bound(neighbourOf(via, "other"), 5000);
    const socket = await bound(via);
    const refused = sent((done) => socket.send("x", 5000, "255.255.255.255", done));
    await expect(refused).rejects.toMatchObject({ code: "EACCES" });
    socket.setBroadcast(true);
    const arrival = received(to);
    socket.send("everybody", 5000, "255.255.255.255");
    expect((await arrival).text).toBe("everybody");
  });

  test("hops are the host's, and asking for others says so", async () => {
    const via = aHost({ ttl: 32 });
    const socket = await bound(via);
    expect(socket.setTTL(32)).toBe(32);
    expect(socket.setMulticastTTL(1)).toBe(1);
    expect(() => socket.setTTL(64)).toThrow(/ENOPROTOOPT.*option "ttl"/);
    expect(() => socket.setTTL(0)).toThrow("setTTL EINVAL");
    expect(() => socket.setTTL("1" as never)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });

  test("demand a bound socket", () => {
    const socket = unbound(aHost());
    expect(() => socket.setBroadcast(true)).toThrow("setBroadcast EBADF");
    expect(() => socket.setTTL(64)).toThrow("setTTL EBADF");
    expect(() => socket.setMulticastLoopback(true)).toThrow("setMulticastLoopback EBADF");
  });

  test("know the own interface alone", async () => {
    const via = aHost();
    const socket = await bound(via);
    socket.setMulticastInterface(via.address);
    expect(() => socket.setMulticastInterface("10.0.99.99")).toThrow("EADDRNOTAVAIL");
  });
});

test("a listener that throws ends nothing else", async () => {
  const via = aHost();
  const [to, from] = [await bound(via), await bound(via)];
  to.once("message", () => {
    throw new Error("the listener's own");
  });
  const previous = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  const thrown = new Promise<Error>((resolve) => process.once("uncaughtException", resolve));
  from.send("one", to.address().port);
  expect((await thrown).message).toBe("the listener's own");
  for (const listener of previous) process.on("uncaughtException", listener);
  const arrival = received(to);
  from.send("two", to.address().port);
  expect((await arrival).text).toBe("two");
});
