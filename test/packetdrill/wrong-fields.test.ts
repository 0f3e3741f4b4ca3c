/**
 * That the interpreter is not lenient: each script here passes; with one thing in it wrong, it fails,
 * for everything that scripts can say of what the stack does.
 */
import { describe, expect, test } from "vitest";
import { ACCEPTED, LISTEN, onlyRightIsTaken, run } from "./only-right.ts";

describe("a SYN-ACK", () => {
  const line =
    "> (ttl 64) S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 100 ecr 700,nop,wscale 7>";
  onlyRightIsTaken(
    `${LISTEN}
   +0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 700 ecr 0,nop,wscale 7>
   +0 ${line}
`,
    [
      ["FIN", "S.", "FS."],
      ["no SYN", "S.", "."],
      ["RST", "S.", "SR."],
      ["PSH", "S.", "SP."],
      ["no ACK", "S.", "S"],
      ["URG", "S.", "SU."],
      ["ECE", "S.", "SE."],
      ["CWR", "S.", "SW."],
      ["AE", "S.", "SA."],
      ["ACE field", "S. ", "S.3 "],
      ["length", "0:0(0) ack 1 win 65535", "0:1(1) ack 1 win 65535"],
      ["acknowledgment", "ack 1 win 65535", "ack 2 win 65535"],
      ["window", "win 65535", "win 65534"],
      ["urgent pointer", "win 65535", "win 65535 urg 1"],
      ["TTL", "ttl 64", "ttl 63"],
      ["ECN", "(ttl 64)", "(ect0)"],
      ["TOS", "(ttl 64)", "(tos 0x10)"],
      ["either ECT", "(ttl 64)", "(ect01)"],
      ["source port", "(ttl 64) S.", "(ttl 64) 8081 > 33333 S."],
      ["MSS", "mss 1460", "mss 1459"],
      ["window scale", "wscale 7", "wscale 8"],
      ["no SACK", "sackOK,TS", "nop,nop,TS"],
      ["no timestamps", "TS val 100 ecr 700,", ""],
      ["another order", "mss 1460,sackOK", "sackOK,mss 1460"],
      ["an eol for a nop", "nop,wscale", "eol,wscale"],
      ["a nop more", "nop,wscale", "nop,nop,nop,nop,nop,wscale"],
      ["an option more", "wscale 7>", "wscale 7,FO 0102>"],
      ["no options", " <mss 1460,sackOK,TS val 100 ecr 700,nop,wscale 7>", ""],
      ["time", `+0 ${line}`, `+.1 ${line}`],
      ["UDP", line, "> udp (0)"],
      ["ICMP", line, "> icmp unreachable port_unreachable"],
      ["a second one", line, `${line}\n+0 ${line}`],
    ],
  );
});

describe("data and its acknowledgment", () => {
  onlyRightIsTaken(
    `${ACCEPTED}
   +0 write(4, ..., 3000) = 3000
   +0 > P. 1:3001(3000) ack 1
  +.1 < . 1:1(0) ack 3001 win 32792
   +0 < . 1001:2001(1000) ack 3001 win 32792
   +0 > . 3001:3001(0) ack 1 <nop,nop,sack 1001:2001>
`,
    [
      ["sequence number", "P. 1:3001(3000)", "P. 2:3002(3000)"],
      ["less data", "P. 1:3001(3000)", "P. 1:2501(2500)"],
      ["more data", "P. 1:3001(3000)", "P. 1:3501(3500)"],
      ["PSH", "P. 1:3001(3000)", ". 1:3001(3000)"],
      ["FIN", "P. 1:3001(3000)", "FP. 1:3001(3000)"],
      ["acknowledgment", "(3000) ack 1", "(3000) ack 2"],
      ["left SACK edge", "sack 1001:2001", "sack 1002:2001"],
      ["right SACK edge", "sack 1001:2001", "sack 1001:2002"],
      ["another SACK block", "sack 1001:2001", "sack 1001:2001 3001:4001"],
      ["no SACK", " <nop,nop,sack 1001:2001>", ""],
      ["sequence number of an ACK", "3001:3001(0) ack 1 <", "3002:3002(0) ack 1 <"],
      ["written count", "= 3000", "= 2999"],
      ["write fails", "= 3000", "= -1 EAGAIN (Resource temporarily unavailable)"],
    ],
  );
});

describe("a reset", () => {
  onlyRightIsTaken(
    `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 < F 0:3(3) win 32792
   +0 > R. 0:0(0) ack 4 win 0
`,
    [
      ["no ACK", "R. 0:0(0) ack 4", "R 0:0(0)"],
      ["sequence number", "R. 0:0(0)", "R. 1:1(0)"],
      ["acknowledgment", "ack 4", "ack 3"],
      ["window", "win 0", "win 1"],
      ["an option", "win 0", "win 0 <nop,nop,nop,nop>"],
    ],
  );
});

describe("timing", () => {
  onlyRightIsTaken(
    `${ACCEPTED}
   +0 write(4, ..., 1000) = 1000
   +0 > P. 1:1001(1000) ack 1
  +.3 > P. 1:1001(1000) ack 1
`
      .replaceAll("<mss 1000,nop,nop,sackOK>", "<mss 1000>")
      .replaceAll("<mss 1460,nop,nop,sackOK>", "<mss 1460>"),
    [
      ["too early", "+.3 >", "+.25 >"],
      ["too late", "+.3 >", "+.35 >"],
      ["before the range", "+.3 >", "+.1~+.25 >"],
      ["behind the range", "+.3 >", "+.35~+.4 >"],
    ],
  );
});

describe("timestamp values, with a clock", () => {
  onlyRightIsTaken(
    `--tcp_ts_tick_usecs=1000
${LISTEN}
   +0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 700 ecr 0,nop,wscale 7>
   +0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 700,nop,wscale 7>
  +.1 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 800 ecr 100>
   +0 accept(3, ..., ...) = 4
   +0 write(4, ..., 100) = 100
   +0 > P. 1:101(100) ack 1 <nop,nop,TS val 200 ecr 800>
`,
    [
      ["TS val", "TS val 200", "TS val 215"],
      ["an echo of what never came", "TS val 800 ecr 100", "TS val 800 ecr 99"],
    ],
  );

  test("the echo, in the strict mode", () => {
    const script = `${LISTEN}
   +0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 700 ecr 0,nop,wscale 7>
   +0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 701,nop,wscale 7>
`;
    expect(run(script, { strict: true }).verdict).toBe("FAIL");
  });
});

describe("calls", () => {
  onlyRightIsTaken(
    `${ACCEPTED}
   +0 fcntl(4, F_GETFL) = 2
   +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 read(4, ..., 100) = -1 EAGAIN (Resource temporarily unavailable)
   +0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0
   +0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1
   +0 epoll_create(1) = 5
   +0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, fd=4}) = 0
   +0 epoll_wait(5, {events=EPOLLOUT, fd=4}, 1, 0) = 1
  +.1 < P. 1:301(300) ack 1 win 32792
    * > . 1:1(0) ack 301
   +0 ioctl(4, SIOCINQ, [300]) = 0
   +0 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 100}], msg_flags=0,
                  msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=200}]}, 0) = 100
   +0 %{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%
   +0 recv(4, ..., 1000, 0) = 200
   +0 close(4) = 0
`,
    [
      ["flags", "F_GETFL) = 2", "F_GETFL) = 3"],
      ["errno", "EAGAIN", "EPIPE"],
      ["success for failure", "= -1 EAGAIN (Resource temporarily unavailable)", "= 0"],
      ["poll's revents", "revents=POLLOUT", "revents=POLLIN|POLLOUT"],
      ["poll's result", "1, 0) = 1\n   +0 epoll_create", "1, 0) = 0\n   +0 epoll_create"],
      ["epoll's events", "{events=EPOLLOUT, fd=4}, 1", "{events=EPOLLIN, fd=4}, 1"],
      ["epoll's data", "{events=EPOLLOUT, fd=4}, 1", "{events=EPOLLOUT, fd=5}, 1"],
      ["epoll's result", "fd=4}, 1, 0) = 1", "fd=4}, 1, 0) = 0"],
      ["ioctl's value", "[300]", "[299]"],
      ["getsockopt's value", "SO_ERROR, [0]", "SO_ERROR, [ECONNRESET]"],
      ["getsockopt's length", "[0], [4]", "[0], [8]"],
      ["msg_flags", "msg_flags=0", "msg_flags=MSG_TRUNC"],
      ["a control message's data", "cmsg_data=200", "cmsg_data=201"],
      ["a control message more", "cmsg_data=200}]", "cmsg_data=200}, {cmsg_level=SOL_TCP}]"],
      ["recvmsg's result", "0) = 100", "0) = 99"],
      ["recv's result", "0) = 200", "0) = 201"],
      ["an assertion", "tcpi_snd_cwnd == 10", "tcpi_snd_cwnd == 11"],
      ["close's result", "close(4) = 0", "close(4) = -1"],
      ["a closed descriptor", "close(4) = 0", "close(9) = 0"],
    ],
  );
});

describe("notices of zero-copy sends", () => {
  onlyRightIsTaken(
    `${ACCEPTED}
   +0 setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0
   +0 send(4, ..., 2000, MSG_ZEROCOPY) = 2000
   +0 > P. 1:2001(2000) ack 1
  +.1 < . 1:1(0) ack 2001 win 32792
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 0}], msg_flags=MSG_ERRQUEUE,
                  msg_control=[{cmsg_level=CMSG_LEVEL_IP, cmsg_type=CMSG_TYPE_RECVERR,
                    cmsg_data={ee_errno=0, ee_origin=SO_EE_ORIGIN_ZEROCOPY, ee_type=0,
                               ee_code=SO_EE_CODE_ZEROCOPY_COPIED, ee_info=0, ee_data=0}}]},
              MSG_ERRQUEUE) = 0
`,
    [
      ["the flags", "msg_flags=MSG_ERRQUEUE", "msg_flags=0"],
      ["the error", "ee_errno=0", "ee_errno=ENOMEM"],
      ["the origin", "ee_origin=SO_EE_ORIGIN_ZEROCOPY", "ee_origin=1"],
      ["the type", "ee_type=0", "ee_type=1"],
      ["the code", "ee_code=SO_EE_CODE_ZEROCOPY_COPIED", "ee_code=0"],
      ["the first send", "ee_info=0", "ee_info=1"],
      ["the last send", "ee_data=0", "ee_data=1"],
      ["none yet", "  +.1 < . 1:1(0) ack 2001 win 32792\n", ""],
    ],
  );
});

describe("timestamps of sends", () => {
  onlyRightIsTaken(
    `${ACCEPTED}
   +0 setsockopt(4, SOL_SOCKET, SO_TIMESTAMPING, [SOF_TIMESTAMPING_TX_ACK |
                  SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID], 4) = 0
   +0 write(4, ..., 2000) = 2000
   +0 > P. 1:2001(2000) ack 1
  +.1 < . 1:1(0) ack 2001 win 32792
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 0}], msg_flags=MSG_ERRQUEUE|MSG_TRUNC,
                  msg_control=[{cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING,
                    cmsg_data={scm_sec=0, scm_nsec=200000000}},
                   {cmsg_level=CMSG_LEVEL_IP, cmsg_type=CMSG_TYPE_RECVERR,
                    cmsg_data={ee_errno=ENOMSG, ee_origin=SO_EE_ORIGIN_TIMESTAMPING, ee_type=0,
                               ee_code=0, ee_info=SCM_TSTAMP_ACK, ee_data=1999}}]},
              MSG_ERRQUEUE) = 0
`,
    [
      ["the flags", "MSG_ERRQUEUE|MSG_TRUNC", "MSG_ERRQUEUE"],
      ["the time", "scm_nsec=200000000", "scm_nsec=195000000"],
      ["the second", "scm_sec=0", "scm_sec=1"],
      ["the error", "ee_errno=ENOMSG", "ee_errno=0"],
      ["the origin", "SO_EE_ORIGIN_TIMESTAMPING", "SO_EE_ORIGIN_ZEROCOPY"],
      ["the event", "SCM_TSTAMP_ACK", "SCM_TSTAMP_SND"],
      ["the byte", "ee_data=1999", "ee_data=2000"],
      ["none yet", "  +.1 < . 1:1(0) ack 2001 win 32792\n", ""],
    ],
  );
});

describe("what a socket takes, and how long", () => {
  onlyRightIsTaken(
    `\`rm -f /tmp/zeros
dd bs=1 count=5 if=/dev/zero of=/tmp/zeros\`
${ACCEPTED}
   +0 setsockopt(4, SOL_TCP, TCP_NOTSENT_LOWAT, [4000], 4) = 0
   +0 open("/tmp/zeros", O_RDONLY) = 5
   +0 sendfile(4, 5, [0], 9) = 5
   +0 > P. 1:6(5) ack 1
  +.1 < . 1:1(0) ack 6 win 32792
   +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 write(4, ..., 40000) = 26000
   +0 > P. 6:10006(10000) ack 1
  +.1 < . 1:1(0) ack 10006 win 0
  +.1 %{ assert 99000 <= tcpi_rwnd_limited <= 101000, tcpi_rwnd_limited }%
   +0 %{ assert 299000 <= tcpi_busy_time <= 301000, tcpi_busy_time }%
   +0 %{ assert tcpi_reordering == 3, tcpi_reordering }%
`,
    [
      ["sendfile's result", "[0], 9) = 5", "[0], 9) = 9"],
      ["an offset", "[0], 9) = 5", "[1], 9) = 5"],
      ["a file that is not there", '("/tmp/zeros"', '("/tmp/others"'],
      ["what a write takes", "= 26000", "= 26001"],
      ["another low water", "[4000]", "[20000]"],
      ["time that the window limits", "99000 <= tcpi_rwnd", "109000 <= tcpi_rwnd"],
      ["busy time", "299000 <= tcpi_busy", "309000 <= tcpi_busy"],
      ["reordering", "tcpi_reordering == 3", "tcpi_reordering == 4"],
    ],
  );
});

describe("IPv6", () => {
  onlyRightIsTaken(
    `--ip_version=ipv6
${LISTEN}
   +0 < S 0:0(0) win 32792 <mss 1000>
   +0 > (hlim 64) S. 0:0(0) ack 1 <mss 1460>
`,
    [
      ["the hop limit", "hlim 64", "hlim 63"],
      ["the MSS", "mss 1460", "mss 1440"],
      ["the number", "ack 1", "ack 2"],
    ],
  );
});

describe("counters", () => {
  onlyRightIsTaken(
    `${ACCEPTED}
   +0 \`nstat -n\`
   +0 < icmp unreachable host_unreachable [5000:6000(1000)]
   +0 \`nstat -s | grep TcpExtOutOfWindowIcmps | grep -q " 1 "\`
   +0 \`nstat | grep TcpExtOutOfWindowIcmps\`
   +0 < icmp unreachable host_unreachable [5000:6000(1000)]
   +0 \`nstat | grep TcpExtOutOfWindowIcmps | grep -q " 1 "\`
`,
    [
      ["more", '" 1 "', '" 2 "'],
      ["another", "nstat | grep TcpExtOutOfWindowIcmps`", "nstat | grep TcpExtBeyondWindow`"],
      ["what was shown", "nstat | grep TcpExtOutOfWindowIcmps`", "nstat -s`"],
      ["none at all", "< icmp unreachable host_unreachable [5000:6000(1000)]", "`true`"],
    ],
  );

  test("one that the stack does not have", () => {
    const script = `${ACCEPTED}\n+0 \`nstat | grep TcpExtTCPRcvQDrop\``;
    expect(run(script).verdict).toBe("UNSUPPORTED");
  });
});

describe("blocking calls", () => {
  onlyRightIsTaken(
    `${ACCEPTED}
   +0...0.100 read(4, ..., 1000) = 300
  +.1 < P. 1:301(300) ack 1 win 32792
`,
    [
      ["returns earlier", "+0...0.100", "+0...0.150"],
      ["returns later", "+0...0.100", "+0...0.050"],
      ["result", "= 300", "= 301"],
      ["never returns", "  +.1 < P. 1:301(300) ack 1 win 32792\n", ""],
    ],
  );

  test("a call that blocks and is not written so", () => {
    expect(run(`${ACCEPTED}\n+0 read(4, ..., 1000) = 300`).verdict).toBe("FAIL");
  });
});

describe("UDP and ICMP", () => {
  onlyRightIsTaken(
    `
    0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
   +0 bind(3, ..., ...) = 0
   +0 sendto(3, ..., 700, 0, ..., ...) = 700
   +0 > udp 8080 > 8080 (700)
`,
    [
      ["length", "(700)", "(699)"],
      ["source port", "8080 > 8080 (", "8081 > 8080 ("],
      ["destination port", "8080 > 8080 (", "8080 > 8081 ("],
      ["TCP", "udp 8080 > 8080 (700)", "S 0:0(0) <...>"],
    ],
  );
  onlyRightIsTaken(
    `
    0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
   +0 < udp (100)
   +0 > icmp unreachable port_unreachable
`,
    [
      ["type", "unreachable port_unreachable", "time_exceeded"],
      ["code", "port_unreachable", "host_unreachable"],
    ],
  );
});

describe("what is left over", () => {
  const script = `${ACCEPTED}
   +0 write(4, ..., 1000) = 1000
`;

  test("passes as packetdrill has it, and fails in the strict mode", () => {
    expect(run(script).verdict).toBe("PASS");
    expect(run(script, { strict: true }).verdict).toBe("FAIL");
  });
});

describe("the levels", () => {
  const syn = "<mss 1000,nop,nop,sackOK,nop,wscale 7>";
  const script = (answer: string): string => `${LISTEN}
   +0 < S 0:0(0) win 32792 ${syn}
   +0 > S. 0:0(0) ack 1 ${answer}
`;
  const verdicts = (answer: string): string[] =>
    (["exact", "handshake", "semantic"] as const).map(
      (level) => run(script(answer), { level }).verdict,
    );

  test("exact takes the very options alone", () => {
    expect(verdicts("<mss 1460,nop,nop,sackOK,nop,wscale 7>")).toEqual(["PASS", "PASS", "PASS"]);
  });

  test("handshake takes them in any order and with any values", () => {
    expect(verdicts("<mss 1400,nop,wscale 3,sackOK,eol,eol>")).toEqual(["FAIL", "PASS", "PASS"]);
  });

  test("semantic takes any options, but no other flags or numbers", () => {
    expect(verdicts("<mss 1460>")).toEqual(["FAIL", "FAIL", "PASS"]);
    const wrong = script("<...>").replace("S. 0:0(0) ack 1", "S. 0:0(0) ack 2");
    expect(run(wrong, { level: "semantic" }).verdict).toBe("FAIL");
  });
});
