/** Which scripts count. */
import { expect, test } from "vitest";
import { ineligible } from "./eligibility.ts";

test.each([
  ["socket calls, packets and TCP_INFO", "+0 close(3) = 0\n+0 > F. 1:1(0) ack 1\n%{ assert 1 }%"],
  ["kernel variables", "`../common/defaults.sh\nsysctl -q net.ipv4.tcp_ecn=2`"],
  ["what stands in a comment", "// tc qdisc, splice(4, 5), SK_MEMINFO_RCVBUF\n/* TCP_MD5SIG */"],
  ["offloads of the card", "`ethtool -K tun0 tso off`"],
  ["counters that nobody looks at", "+0 `nstat -n`"],
  ["names that only look alike", "+0 fastopen(3) = 0"],
])("%s: counts", (_what, source) => {
  expect(ineligible("tcp/a.pkt", source)).toBeUndefined();
});

test.each([
  ["+0 setsockopt(3, SOL_TCP, TCP_MD5SIG, ..., 8) = 0", "TCP MD5 signatures"],
  ["+0 < S 0:0(0) win 1 <mss 1,nop,nop,md5 000102>", "TCP MD5 signatures"],
  ["`tc qdisc replace dev tun0 root fq`", "queueing disciplines of Linux"],
  ["`echo 3 > /sys/module/tcp_cubic/parameters/x`", "parameters of Linux' modules"],
  ["+0 `ip route change 192.0.2.1 via 192.168.0.2`", "routes of the host"],
  ["+0 `nstat -s | grep -q Drop`", "counters of Linux"],
  ['+0 `grep " 0A " /proc/net/tcp`', "files of /proc that are read"],
  ["+0 splice(4, NULL, 6, NULL, 99, 0) = 99", "calls on files and pipes"],
  ["%{ assert SK_MEMINFO_RCVBUF == 1 }%", "memory counts of Linux' sockets"],
])("%s: does not", (source, reason) => {
  expect(ineligible("tcp/a.pkt", source)).toBe(reason);
});

test("directories and names of files say it too", () => {
  expect(ineligible("net/psp/a.pkt", "")).toBe("PSP encryption");
  expect(ineligible("net/tcp_accecn_a.pkt", "")).toBeUndefined();
  expect(ineligible("net/packetdrill/tests/a.pkt", "")).toMatch("tests of itself");
});
