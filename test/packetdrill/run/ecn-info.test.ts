/** Linux' names for what accurate ECN counts. */
import { expect, test } from "vitest";
import type { AccurateEcnInfo } from "../../../host/libix/tcp-info.ts";
import { ecnInfo } from "./ecn-info.ts";

const ACCURATE: AccurateEcnInfo = {
  delivered: { ceSegments: 1, ceBytes: 2, ect0Bytes: 3, ect1Bytes: 4 },
  received: { ceSegments: 5, ceBytes: 6, ect0Bytes: 7, ect1Bytes: 8 },
  failures: 9,
  optionSeen: 10,
};
const NAMES = [
  "tcpi_delivered_ce",
  "tcpi_delivered_ce_bytes",
  "tcpi_delivered_e0_bytes",
  "tcpi_delivered_e1_bytes",
  "tcpi_received_ce",
  "tcpi_received_ce_bytes",
  "tcpi_received_e0_bytes",
  "tcpi_received_e1_bytes",
  "tcpi_accecn_fail_mode",
  "tcpi_accecn_opt_seen",
];

test("each name is a count of its own", () => {
  const info = { ecn: "accurate", accurateEcn: ACCURATE } as const;
  expect(NAMES.map((name) => ecnInfo(name, info, 99))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(ecnInfo("tcpi_snd_cwnd", info, 99)).toBeUndefined();
});

test("with classic ECN what was acknowledged with an echo counts, and no bytes", () => {
  const info = { ecn: "classic", accurateEcn: null } as const;
  expect(NAMES.slice(0, 5).map((name) => ecnInfo(name, info, 99))).toEqual([
    99,
    0,
    0,
    0,
    undefined,
  ]);
});

test("without ECN nothing was marked, and without a connection nothing is known", () => {
  const info = { ecn: "none", accurateEcn: null } as const;
  expect(ecnInfo("tcpi_delivered_ce", info, 99)).toBe(0);
  expect(ecnInfo("tcpi_delivered_ce", null, 99)).toBeUndefined();
});
