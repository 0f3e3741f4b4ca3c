/** That the interpreter is not lenient with ECN, classic and accurate. */
import { describe } from "vitest";
import { LISTEN, onlyRightIsTaken } from "./only-right.ts";

describe("ECN", () => {
  onlyRightIsTaken(
    `\`sysctl -q net.ipv4.tcp_ecn=2\`
${LISTEN}
   +0 < SEW 0:0(0) win 32792 <mss 1000>
   +0 > (noecn) SE. 0:0(0) ack 1 <mss 1460>
  +.1 < . 1:1(0) ack 1 win 32792
   +0 accept(3, ..., ...) = 4
   +0 write(4, ..., 1000) = 1000
   +0 > (ect0) P. 1:1001(1000) ack 1
`,
    [
      ["no ECE", "SE.", "S."],
      ["CWR", "SE.", "SEW."],
      ["a codepoint on the SYN-ACK", "(noecn)", "(ect0)"],
      ["no codepoint on data", "(ect0)", "(noecn)"],
      ["the other codepoint", "(ect0)", "(ect1)"],
      ["a mark", "(ect0)", "(ce)"],
    ],
  );
});

describe("accurate ECN of a server", () => {
  onlyRightIsTaken(
    `\`sysctl -q net.ipv4.tcp_ecn=3\`
${LISTEN}
   +0 < [ect0] SEWA 0:0(0) win 32792 <mss 1000>
   +0 > [noecn] SA. 0:0(0) ack 1 <mss 1460,ECN e1b 1 ceb 0 e0b 1,nop>
  +.1 < [ect0] W. 1:1(0) ack 1 win 32792 <ECN e0b 1 ceb 0 e1b 1,nop>
   +0 accept(3, ..., ...) = 4
   +0 < [ce] P.5 1:1001(1000) ack 1 win 32792
   +0 > [ect0] .6 1:1(0) ack 1001 <ECN e1b 1 ceb 1000 e0b 1,nop>
   +0 write(4, ..., 3000) = 3000
   +0 > [ect0] P.6 1:3001(3000) ack 1001 <ECN e1b 1 ceb 1000 e0b 1,nop>
  +.1 < [ect0] .7 1001:1001(0) ack 3001 win 32792 <ECN e0b 1001 ceb 2000 e1b 1,nop>
   +0 %{ assert tcpi_delivered_ce == 2, tcpi_delivered_ce }%
   +0 %{ assert tcpi_delivered_ce_bytes == 2000, tcpi_delivered_ce_bytes }%
   +0 %{ assert tcpi_delivered_e0_bytes == 1000, tcpi_delivered_e0_bytes }%
   +0 %{ assert tcpi_delivered_e1_bytes == 0, tcpi_delivered_e1_bytes }%
   +0 %{ assert tcpi_received_ce == 1, tcpi_received_ce }%
   +0 %{ assert tcpi_received_ce_bytes == 1000, tcpi_received_ce_bytes }%
   +0 %{ assert tcpi_received_e0_bytes == 0, tcpi_received_e0_bytes }%
`,
    [
      ["no AE", "SA. 0:0", "S. 0:0"],
      ["CWR", "SA. 0:0", "SWA. 0:0"],
      ["ECE", "SA. 0:0", "SEA. 0:0"],
      ["a codepoint on the SYN-ACK", "> [noecn]", "> [ect0]"],
      ["no option on the SYN-ACK", "1460,ECN e1b 1 ceb 0 e0b 1,nop>", "1460>"],
      ["its first counter", "1460,ECN e1b 1 ", "1460,ECN e1b 2 "],
      ["its other order", "1460,ECN e1b 1 ceb 0 e0b 1", "1460,ECN e0b 1 ceb 0 e1b 1"],
      ["the ACE field's low bit", "> [ect0] .6", "> [ect0] .7"],
      ["its middle bit", "> [ect0] .6", "> [ect0] .4"],
      ["its high bit", "> [ect0] .6", "> [ect0] .2"],
      ["no codepoint on the ACK", "> [ect0] .6", "> [noecn] .6"],
      ["a segment's ACE field", "> [ect0] P.6", "> [ect0] P.5"],
      [
        "a counter of CE",
        "(3000) ack 1001 <ECN e1b 1 ceb 1000",
        "(3000) ack 1001 <ECN e1b 1 ceb 1001",
      ],
      ["a counter of ECT(1)", "(3000) ack 1001 <ECN e1b 1", "(3000) ack 1001 <ECN e1b 2"],
      ["a counter of ECT(0)", "ceb 1000 e0b 1,nop>", "ceb 1000 e0b 2,nop>"],
      ["a counter less", "ceb 1000 e0b 1,nop>", "ceb 1000>"],
      ["no option", "(3000) ack 1001 <ECN e1b 1 ceb 1000 e0b 1,nop>", "(3000) ack 1001"],
      ["delivered with CE", "tcpi_delivered_ce == 2", "tcpi_delivered_ce == 3"],
      ["its bytes", "tcpi_delivered_ce_bytes == 2000", "tcpi_delivered_ce_bytes == 2001"],
      ["delivered with ECT(0)", "_e0_bytes == 1000", "_e0_bytes == 1001"],
      ["delivered with ECT(1)", "_e1_bytes == 0", "_e1_bytes == 1"],
      ["received with CE", "tcpi_received_ce == 1", "tcpi_received_ce == 2"],
      ["its bytes", "tcpi_received_ce_bytes == 1000", "tcpi_received_ce_bytes == 1001"],
      ["received with ECT(0)", "tcpi_received_e0_bytes == 0", "tcpi_received_e0_bytes == 1"],
    ],
  );
});

describe("accurate ECN of a client", () => {
  onlyRightIsTaken(
    `\`sysctl -q net.ipv4.tcp_ecn=3\`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 > [noecn] SEWA 0:0(0) <...>
  +.1 < [ect1] SW. 0:0(0) ack 1 win 32792 <mss 1000,ECN e0b 1 ceb 0 e1b 1,nop>
   +0 > [ect0] WE. 1:1(0) ack 1 <ECN e1b 1 ceb 0 e0b 1,nop>
   +0 \`sysctl -q net.ipv4.tcp_ecn_option=0\`
   +0 write(3, ..., 1000) = 1000
   +0 > [ect0] P.5 1:1001(1000) ack 1
`,
    [
      ["the SYN without AE", "SEWA", "SEW"],
      ["the SYN without ECE", "SEWA", "SWA"],
      ["a codepoint on the SYN", "[noecn] SEWA", "[ect0] SEWA"],
      ["what came with the SYN-ACK", "WE. 1:1", "W. 1:1"],
      ["no codepoint on the ACK", "[ect0] WE.", "[noecn] WE."],
      ["no option on the ACK", " <ECN e1b 1 ceb 0 e0b 1,nop>", ""],
      [
        "an option that was switched off",
        "(1000) ack 1",
        "(1000) ack 1 <ECN e1b 1 ceb 0 e0b 1,nop>",
      ],
      ["none switched off", "tcp_ecn_option=0", "tcp_ecn_option=2"],
    ],
  );
});
