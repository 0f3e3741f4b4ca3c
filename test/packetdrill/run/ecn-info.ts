/** What Linux' TCP_INFO says of accurate ECN, from what the stack tells an application. */
import type { AccurateEcnInfo, ConnectionInfo } from "../../../host/libix/tcp-info.ts";

const READERS: Readonly<Record<string, (info: AccurateEcnInfo) => number>> = {
  tcpi_delivered_ce: ({ delivered }) => delivered.ceSegments,
  tcpi_delivered_ce_bytes: ({ delivered }) => delivered.ceBytes,
  tcpi_delivered_e0_bytes: ({ delivered }) => delivered.ect0Bytes,
  tcpi_delivered_e1_bytes: ({ delivered }) => delivered.ect1Bytes,
  tcpi_received_ce: ({ received }) => received.ceSegments,
  tcpi_received_ce_bytes: ({ received }) => received.ceBytes,
  tcpi_received_e0_bytes: ({ received }) => received.ect0Bytes,
  tcpi_received_e1_bytes: ({ received }) => received.ect1Bytes,
  tcpi_accecn_fail_mode: ({ failures }) => failures,
  tcpi_accecn_opt_seen: ({ optionSeen }) => optionSeen,
};

/**
 * The value of a name; undefined when it is none of these, or the stack does not keep it.
 *
 * @param echoed segments that were acknowledged with an echo of RFC 3168, which Linux counts too
 */
export function ecnInfo(
  name: string,
  info: Pick<ConnectionInfo, "ecn" | "accurateEcn"> | null,
  echoed: number,
): number | undefined {
  if (!info || !Object.hasOwn(READERS, name)) return undefined;
  if (info.accurateEcn) return READERS[name](info.accurateEcn);
  if (name === "tcpi_delivered_ce") return info.ecn === "classic" ? echoed : 0;
  // Without options nobody tells of bytes.
  return name.startsWith("tcpi_delivered_") ? 0 : undefined;
}
