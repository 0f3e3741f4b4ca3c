/** Clients of databases, queues and mail from npm, as they are, against servers in the same process. */
import { text } from "node:stream/consumers";
import type { Readable } from "node:stream";
import type * as ioredisTypes from "ioredis";
import type * as mqttTypes from "mqtt";
import type mqttPacketTypes from "mqtt-packet";
import type * as nodemailerTypes from "nodemailer";
import type * as smtpServerTypes from "smtp-server";
import { expect, test } from "vitest";
import { connect } from "../../host/node/net/index.ts";
import type { Host, Socket } from "../../host/node/net/index.ts";
import { aHost, listening, once } from "../node-net/support.ts";
import { serveRedis } from "./redis-server.ts";
import { installed } from "./support.ts";

const ioredis = await installed<typeof ioredisTypes>("ioredis");
const mqtt = await installed<typeof mqttTypes>("mqtt");
const mqttPacket = await installed<{ default: typeof mqttPacketTypes }>("mqtt-packet");
const nodemailer = await installed<typeof nodemailerTypes>("nodemailer");
const smtp = await installed<typeof smtpServerTypes>("smtp-server");

/** What ioredis makes its connections with: its own way to have another. */
function connectorTo(via: Host, port: number): ioredisTypes.RedisOptions["Connector"] {
  class Connector {
    connecting = false;
    stream: Socket | undefined;

    check(): boolean {
      return true;
    }

    async connect(): Promise<Socket> {
      this.connecting = true;
      this.stream = connect({ port, via });
      return this.stream;
    }

    disconnect(): void {
      this.connecting = false;
      this.stream?.end();
    }
  }
  return Connector as unknown as ioredisTypes.RedisOptions["Connector"];
}

test.skipIf(!ioredis)("ioredis sets, gets, pipelines, and subscribes", async () => {
  const via = aHost();
  const { port } = await listening(via, serveRedis());
  const Connector = connectorTo(via, port);
  const redis = new ioredis!.Redis({ Connector });
  const listener = new ioredis!.Redis({ Connector });
  expect(await redis.set("key", "välue\r\n")).toBe("OK");
  expect(await redis.get("key")).toBe("välue\r\n");
  expect(await redis.get("none")).toBeNull();
  const pipeline = redis.pipeline();
  for (let i = 0; i < 100; i++) pipeline.incr("count");
  const results = await pipeline.exec();
  expect(results!.at(-1)).toEqual([null, 100]);
  await expect(redis.call("NOSUCH")).rejects.toThrow("unknown command");
  await listener.subscribe("news");
  const message = once(listener, "message");
  expect(await redis.publish("news", "it works")).toBe(1);
  expect(await message).toEqual(["news", "it works"]);
  await Promise.all([redis.quit(), listener.quit()]);
});

/** A broker that knows what this test needs of MQTT: connecting, subscribing, messages of QoS 0 and 1. */
function broker(packet: typeof mqttPacketTypes): (socket: Socket) => void {
  const subscribers = new Map<Socket, Set<string>>();
  return (socket) => {
    const parser = packet.parser();
    const say = (answer: mqttPacketTypes.Packet): void =>
      void socket.write(packet.generate(answer));
    subscribers.set(socket, new Set());
    socket.on("close", () => subscribers.delete(socket));
    socket.on("data", (data: Buffer) => parser.parse(data));
    parser.on("packet", (received: mqttPacketTypes.Packet) => {
      if (received.cmd === "connect") {
        say({ cmd: "connack", returnCode: 0, sessionPresent: false });
      } else if (received.cmd === "subscribe") {
        const { subscriptions, messageId } = received;
        for (const { topic } of subscriptions) subscribers.get(socket)!.add(topic);
        say({ cmd: "suback", messageId, granted: subscriptions.map(() => 0) });
      } else if (received.cmd === "publish") {
        if (received.qos === 1) say({ cmd: "puback", messageId: received.messageId });
        const copy = packet.generate({ ...received, qos: 0, messageId: undefined });
        for (const [each, topics] of subscribers) if (topics.has(received.topic)) each.write(copy);
      }
    });
  };
}

test.skipIf(!mqtt || !mqttPacket)("mqtt publishes and subscribes", async () => {
  const via = aHost();
  const { port } = await listening(via, broker(mqttPacket!.default));
  const client = new mqtt!.MqttClient(() => connect({ port, via }) as never, {
    reconnectPeriod: 0,
  });
  await new Promise((resolve) => client.once("connect", resolve));
  await client.subscribeAsync("greetings");
  const messages: string[] = [];
  client.on("message", (topic, payload) => messages.push(`${topic}: ${String(payload)}`));
  await client.publishAsync("greetings", "one", { qos: 1 });
  await client.publishAsync("greetings", "two");
  await expect.poll(() => messages).toEqual(["greetings: one", "greetings: two"]);
  await client.endAsync();
});

test.skipIf(!nodemailer || !smtp)("nodemailer sends mail that smtp-server receives", async () => {
  const via = aHost();
  const mails: { to: string[]; text: string }[] = [];
  const server = new smtp!.SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    disableReverseLookup: true,
    onData: (stream, session, done) => {
      void text(stream as unknown as Readable).then((content) => {
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), text: content });
        done();
      });
    },
  });
  const { port } = await listening(via, (socket) => void server.server.emit("connection", socket));
  const transport = nodemailer!.createTransport({
    host: "mail.example",
    port,
    ignoreTLS: true,
    getSocket: (_options: unknown, done: (error: Error | null, socket: object) => void) => {
      const socket = connect({ port, via });
      socket.once("connect", () => done(null, { connection: socket }));
    },
  } as never);
  const { accepted } = (await transport.sendMail({
    from: "me@here.example",
    to: "you@there.example",
    subject: "over a dataplane",
    text: "line\n.\nafter the dot\n",
    attachments: [{ filename: "large", content: Buffer.alloc(200_000) }],
  })) as unknown as { accepted: string[] };
  expect(accepted).toEqual(["you@there.example"]);
  expect(mails[0].to).toEqual(["you@there.example"]);
  expect(mails[0].text).toContain("Subject: over a dataplane");
  expect(mails[0].text).toContain("\nafter the dot");
  expect(mails[0].text.length).toBeGreaterThan(260_000);
});
