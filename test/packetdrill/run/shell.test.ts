/** Commands of scripts, which are read and never executed. */
import { expect, test } from "vitest";
import { Unsupported } from "../language/errors.ts";
import { parseScript } from "../language/parser.ts";
import { defaultSettings, type Settings } from "./settings.ts";
import { applyPreamble, questionsOf } from "./shell.ts";

function settingsAfter(command: string): Settings {
  const settings = defaultSettings(parseScript("test", "0 a() = 0"));
  applyPreamble(settings, command);
  return settings;
}

test("defaults.sh sets Linux' buffers", () => {
  const { tcp, sendBuffer } = settingsAfter("../../common/defaults.sh");
  expect(tcp).toMatchObject({
    synLinearRetries: 0,
    receiveWindow: 270_000,
    receiveWindowMax: 15_728_640,
    synRetries: 5,
    ecn: "off",
  });
  expect(sendBuffer).toBe(4_194_304);
  expect(settingsAfter("./defaults.sh").tcp.synLinearRetries).toBe(4);
});

test("sysctl and set_sysctls.py, with quotes, sums and continued lines", () => {
  const { tcp } = settingsAfter(
    `./defaults.sh\n sysctl -q net.ipv4.tcp_rmem="4096 8192 $((2*1024*1024))" \\\n` +
      `net.ipv4.tcp_sack=0; ../x/set_sysctls.py /proc/sys/net/ipv4/tcp_timestamps=0`,
  );
  expect(tcp).toMatchObject({
    receiveWindow: 4096,
    receiveWindowMax: 2_097_152,
    sack: false,
    timestamps: false,
  });
});

test("kinds of ECN by their numbers, and how accurate ECN is spoken", () => {
  const kinds = [0, 1, 2, 3, 4, 5].map(
    (mode) => settingsAfter(`sysctl -q net.ipv4.tcp_ecn=${mode}`).tcp.ecn,
  );
  expect(kinds).toEqual([
    "off",
    "on",
    "accept",
    "accurate",
    "accurate-ask-classic",
    "accurate-accept",
  ]);
  expect(() => settingsAfter("sysctl -q net.ipv4.tcp_ecn=6")).toThrow(Unsupported);
  expect(() => settingsAfter("sysctl -w net.inet.tcp.ecn.enable=3")).toThrow(Unsupported);
  const { tcp } = settingsAfter(
    "sysctl -q net.ipv4.tcp_ecn_option=1\nsysctl -q net.ipv4.tcp_ecn_option_beacon=5\n" +
      "sysctl -q net.ipv4.tcp_ecn_fallback=0",
  );
  expect(tcp).toMatchObject({ ecnOption: "minimal", ecnBeacon: 5, ecnFallback: false });
  expect(() => settingsAfter("sysctl -q net.ipv4.tcp_ecn_option=4")).toThrow(Unsupported);
});

test("FreeBSD's variables", () => {
  const settings = settingsAfter("sysctl -w net.inet.tcp.recvspace=65536");
  expect(settings.tcp.receiveWindow).toBe(65_536);
  expect(settings.receiveBuffer).toBe(65_536);
});

test("routes and links set the MTU and the initial window", () => {
  const { mtu, tcp } = settingsAfter(
    "ip route change 192.0.2.1 via 192.168.0.2 dev tun0 advmss 600 mtu lock 640 initcwnd 11",
  );
  expect(mtu).toBe(640);
  expect(tcp.initialWindow).toBe(11);
  expect(settingsAfter("ip link set dev tun0 mtu 1400").mtu).toBe(1400);
});

test("what changes nothing here is passed over", () => {
  settingsAfter("nstat > /dev/null; tc qdisc add dev tun0 root pfifo; ethtool -K tun0 tso off");
  settingsAfter("/tmp/sysctl_restore_${PPID}.sh && ip tcp_metrics flush all > /dev/null 2>&1");
});

test("what is not known is unsupported, by its name", () => {
  expect(() => settingsAfter("cp /tmp/file /tmp/other")).toThrow("shell command cp");
  expect(() => settingsAfter("dd if=/dev/urandom of=/tmp/file bs=1 count=5")).toThrow("dd");
  expect(() => settingsAfter("sysctl -q net.ipv4.tcp_new=1")).toThrow("sysctl net.ipv4.tcp_new=1");
  expect(() => settingsAfter("sysctl -q net.ipv4.tcp_reordering=5")).toThrow(Unsupported);
  expect(() => settingsAfter("tc qdisc add dev tun0 root pfifo limit 0")).toThrow(Unsupported);
});

test("files of zeros are made and removed", () => {
  const made = settingsAfter(
    "/bin/rm -f /tmp/a\n/bin/dd bs=2 count=5 if=/dev/zero of=/tmp/a status=none",
  );
  expect([...made.files]).toEqual([["/tmp/a", 10]]);
  const removed = settingsAfter("dd bs=1 count=1 if=/dev/zero of=/tmp/a; rm -f /tmp/a");
  expect([...removed.files]).toEqual([]);
});

test("questions about counters", () => {
  const kind = "counter";
  const nothing = { kind, name: undefined, count: undefined };
  expect(questionsOf("nstat > /dev/null; nstat -s")).toEqual([
    { ...nothing, keeps: false },
    { ...nothing, keeps: true },
  ]);
  expect(questionsOf("nstat | grep TcpExtOutOfWindowIcmps > /dev/null")).toEqual([
    { kind, name: "TcpExtOutOfWindowIcmps", count: undefined, keeps: false },
  ]);
  expect(questionsOf(`nstat -s | grep TcpExtBeyondWindow| grep -q " 2 "`)).toEqual([
    { kind, name: "TcpExtBeyondWindow", count: 2, keeps: true },
  ]);
  for (const other of [
    "nstat -z",
    "nstat | wc -l",
    "nstat | grep a | grep 2",
    "nstat | grep -v a",
  ]) {
    expect(() => questionsOf(other), other).toThrow("shell command nstat");
  }
});

test("questions about states, and settings that come late", () => {
  expect(
    questionsOf("sockstat -4 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 1"),
  ).toEqual([{ kind: "states", state: "TIME_WAIT", count: 1 }]);
  expect(questionsOf("sysctl -q net.ipv4.tcp_ecn=2")).toEqual([
    { kind: "settings", command: "sysctl -q net.ipv4.tcp_ecn=2" },
  ]);
  expect(questionsOf("tcpdrop -s TIME_WAIT")).toEqual([{ kind: "nothing" }]);
  expect(() => questionsOf("curl http://example.com")).toThrow("shell command curl");
});
