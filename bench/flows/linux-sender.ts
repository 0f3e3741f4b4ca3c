/** A stream of Linux's TCP that ends when stdin does: HOST PORT. */
import { connect } from "node:net";
import process from "node:process";

const CHUNK = Buffer.alloc(1 << 18);

const [, , host, port] = process.argv;
const socket = connect(Number(port), host);
const fill = (): void => {
  while (socket.write(CHUNK));
};
socket.once("connect", fill).on("drain", fill);
socket.once("error", () => process.exit(1));
process.stdin.once("end", () => process.exit(0)).resume();
