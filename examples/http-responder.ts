/**
 * A web server on a network stack of its own: a dataplane on a TAP device, HTTP on libix.
 *
 *   npm run build
 *   sudo node dist/examples/http-responder.js --tap tap0 --ip 10.9.0.2/24 --host 10.9.0.1/24
 *   curl http://10.9.0.2/
 *
 * Each core of the dataplane has a thread and a queue of the TAP to itself. See
 * http-responder-app.ts for what it serves.
 */
import { parseArgs } from "node:util";
import { createDataplane, openTap, startThreaded } from "../host/node/index.ts";

const USAGE = `Usage: node dist/examples/http-responder.js [options]

  --tap NAME         interface on Linux's side; made if it does not exist (default: any free tapN)
  --ip ADDRESS/N     the responder's own address (default 10.9.0.2/24)
  --host ADDRESS/N   address to give to Linux's side (default: left as it is)
  --namespace NAME   network namespace for the interface
  --port PORT        TCP port (default 80)
  --cores N          cores, each with a thread and a queue of the TAP (default 1)
  --connections N    connections at once (default 4096)
  --offload          do not compute checksums between Linux and the responder
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      tap: { type: "string" },
      ip: { type: "string", default: "10.9.0.2/24" },
      host: { type: "string" },
      namespace: { type: "string" },
      port: { type: "string", default: "80" },
      cores: { type: "string", default: "1" },
      connections: { type: "string", default: "4096" },
      offload: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const cores = Number(values.cores);
  const port = Number(values.port);

  const tap = openTap({
    name: values.tap,
    namespace: values.namespace,
    address: values.host,
    queues: cores,
    checksumOffload: values.offload,
  });
  const dataplane = createDataplane({
    ip: values.ip,
    cores,
    maxConnections: Number(values.connections),
    applicationWindow: 16 << 20,
    offloads: tap.offloads,
  });
  const running = await startThreaded([
    {
      dataplane,
      wire: tap.wire,
      app: { module: new URL("./http-responder-app.js", import.meta.url), options: { port } },
    },
  ]);
  console.log(`http://${values.ip.split("/")[0]}:${port}/ is behind ${tap.name}; Ctrl-C ends it`);

  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => running.stop());
  await running.done;
  tap.close();
  console.log(JSON.stringify({ tap: tap.counters(), counters: dataplane.counters() }));
}

await main();
