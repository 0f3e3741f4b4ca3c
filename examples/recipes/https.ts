/**
 * node:https on a dataplane of this process, with a certificate made by
 *
 *   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
 *     -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
 */
import { readFileSync } from "node:fs";
import { createServer, get } from "node:https";
import { httpsAgent, serveHttp } from "../../host/node/net/index.ts";

const [key, cert] = [readFileSync("key.pem"), readFileSync("cert.pem")];
const server = createServer({ key, cert }, (_, response) => response.end("between us"));
serveHttp(server, { port: 443 });

const agent = httpsAgent({ ca: cert });
get("https://localhost/", { agent }, (response) => {
  response.on("data", (data) => console.log(String(data)));
  response.on("end", () => server.close());
});
