/**
 * `node --import ixwasm/register app.js`: a program's node:net, node:tls and node:dgram, and with them
 * http, https, http2 and fetch, on a dataplane. What it listens on and whom it connects to within the
 * network goes there; pipes, child processes and addresses elsewhere stay with the operating system. See
 * environment.ts for a way out of the process.
 */
import dgram from "node:dgram";
import { syncBuiltinESMExports } from "node:module";
import { createSocket, Socket } from "../dgram/index.ts";
import { installClient } from "./client.ts";
import { configure } from "./environment.ts";
import { installTls } from "./facade.ts";
import { installServer } from "./server.ts";

configure(process.env);
installTls();
installClient();
installServer();
Object.assign(dgram, { createSocket, Socket });
syncBuiltinESMExports();
