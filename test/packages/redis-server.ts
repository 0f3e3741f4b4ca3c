/** A server of the Redis protocol (RESP2) with the few commands that a test needs. */
import type { Socket } from "../../host/node/net/index.ts";

type Reply = string | number | null | Error | { readonly status: string } | readonly Reply[];

/** What a connection does with each command. */
export function serveRedis(): (socket: Socket) => void {
  const values = new Map<string, string>();
  const channels = new Map<string, Set<Socket>>();

  function run(socket: Socket, [name, ...args]: string[]): Reply {
    switch (name.toLowerCase()) {
      case "info":
        return "loading:0\r\n";
      case "set":
        values.set(args[0], args[1]);
        return { status: "OK" };
      case "get":
        return values.get(args[0]) ?? null;
      case "incr": {
        const next = Number(values.get(args[0]) ?? 0) + 1;
        values.set(args[0], String(next));
        return next;
      }
      case "subscribe":
        channels.set(args[0], (channels.get(args[0]) ?? new Set()).add(socket));
        return ["subscribe", args[0], 1];
      case "publish":
        for (const each of channels.get(args[0]) ?? []) {
          each.write(encode(["message", args[0], args[1]]));
        }
        return channels.get(args[0])?.size ?? 0;
      case "client":
      case "quit":
        return { status: "OK" };
      default:
        return new Error(`ERR unknown command '${name}'`);
    }
  }

  return (socket) => {
    let rest = Buffer.alloc(0);
    socket.on("close", () => channels.forEach((sockets) => sockets.delete(socket)));
    socket.on("data", (data: Buffer) => {
      rest = Buffer.concat([rest, data]);
      for (let next = decode(rest); next !== null; next = decode(rest)) {
        rest = rest.subarray(next.length);
        socket.write(encode(run(socket, next.command)));
        if (next.command[0].toLowerCase() === "quit") socket.end();
      }
    });
  };
}

/** The first whole command, an array of bulk strings; null while there is none. */
function decode(bytes: Buffer): { command: string[]; length: number } | null {
  let at = 0;
  const header = (): number => {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return NaN;
    const value = Number(bytes.toString("latin1", at + 1, end));
    at = end + 2;
    return value;
  };
  const count = header();
  if (Number.isNaN(count)) return null;
  const command: string[] = [];
  for (let i = 0; i < count; i++) {
    const length = header();
    if (Number.isNaN(length) || bytes.length < at + length + 2) return null;
    command.push(bytes.toString("utf8", at, at + length));
    at += length + 2;
  }
  return { command, length: at };
}

function encode(reply: Reply): string {
  if (reply === null) return "$-1\r\n";
  if (typeof reply === "number") return `:${reply}\r\n`;
  if (typeof reply === "string") return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  if (reply instanceof Error) return `-${reply.message}\r\n`;
  if ("status" in reply) return `+${reply.status}\r\n`;
  return `*${reply.length}\r\n${reply.map(encode).join("")}`;
}
