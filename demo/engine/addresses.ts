/** Who is who on the demo's network. */
import { hashIpv4, toeplitzTables } from "../../host/index.ts";

export const SERVER_IP = "10.0.0.1";
export const CLIENT_IP = "10.0.0.2";
/** Where forged packets come from; the server's way to everybody it does not know. */
export const FLOODER_IP = "10.0.0.254";
export const FLOODER_MAC = [0x02, 0, 10, 0, 0, 254] as const;
export const SERVER_PORT = 7;

const TABLES = new Int32Array(toeplitzTables().buffer as ArrayBuffer);

/** The NIC's hash of what the client sends from `port` to the server: its low 7 bits are the flow group. */
export function hashOfPort(port: number): number {
  const bytes = new Uint8Array(12);
  bytes.set([...octets(CLIENT_IP), ...octets(SERVER_IP)]);
  const view = new DataView(bytes.buffer);
  view.setUint16(8, port);
  view.setUint16(10, SERVER_PORT);
  return hashIpv4(TABLES, bytes, 0, 8) >>> 0;
}

export function octets(ip: string): number[] {
  return ip.split(".").map(Number);
}
