import { readFileSync } from "node:fs";
import http2 from "node:http2";
import https from "node:https";

const [key, cert] = [readFileSync(process.env.KEY), readFileSync(process.env.CERT)];

function getHttps(port) {
  return new Promise((resolve, reject) => {
    https
      .get({ port, ca: cert, path: "/https" }, (response) => {
        let text = "";
        response.on("data", (part) => (text += part)).on("end", () => resolve(text));
      })
      .on("error", reject);
  });
}

async function getHttp2(port) {
  const session = http2.connect(`https://localhost:${port}`, { ca: cert });
  const stream = session.request({ ":path": "/http2" });
  let text = "";
  for await (const part of stream) text += part;
  session.close();
  return text;
}

const web = https.createServer({ key, cert }, (request, response) => response.end(request.url));
const web2 = http2.createSecureServer({ key, cert }, (request, response) =>
  response.end(request.url),
);
await new Promise((resolve) => web.listen(8443, resolve));
await new Promise((resolve) => web2.listen(8444, resolve));
console.log(await getHttps(8443), await getHttp2(8444));
web.close();
web.closeAllConnections();
web2.close();
