import { readFileSync } from "node:fs";
import net from "node:net";
import { connect, createServer, TLSSocket } from "node:tls";

const [key, cert] = [readFileSync(process.env.KEY), readFileSync(process.env.CERT)];
const server = createServer({ key, cert }, (socket) => {
  console.log("from", socket.remoteAddress, socket instanceof TLSSocket);
  socket.pipe(socket);
});
server.listen(8443, "localhost", () => {
  const client = connect(8443, "localhost", { ca: cert, servername: "localhost" }, () => {
    console.log("authorized", client.authorized);
    client.end("over TLS");
  });
  client.setEncoding("utf8").on("data", (text) => console.log("echoed", text));
  client.on("close", () => {
    // As after STARTTLS: TLS on a connection that is open already.
    const plain = net.connect(8443, () => {
      const later = connect({ socket: plain, ca: cert, servername: "localhost" });
      later.end("later");
      later.setEncoding("utf8").on("data", (text) => console.log("echoed", text));
      later.on("close", () => server.close());
    });
  });
});
