/**
 * A thread that dies while it opens a connection, at whichever of its stores: the core that takes over has
 * neither lost another connection nor kept a half-made one for ever.
 */
import { describe, expect, test } from "vitest";
import {
  CONFIG_BASE,
  CFG_BUCKETS_PER_GROUP,
  FLOW_GROUPS,
  GAUGE_CONNECTIONS,
  RC_OK,
} from "../../assembly/abi.ts";
import { text } from "../support/bytes.ts";
import { KERNEL, PEER } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { dyingAfter, mortal } from "../support/mortal.ts";
import { fastOpen, nop } from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";
import { hashTuple } from "../support/toeplitz.ts";
import { Cores, portFor } from "./cores.ts";
import { takeOver } from "./take-over.ts";

const SECOND = 1_000_000;
const HELLO = text("hello");

/** Which bucket of the connection table a peer's connection is in. */
function bucketOf(cores: Cores, port: number, kernelPort = 80): number {
  const perGroup = cores.at(0).view.getUint32(CONFIG_BASE + CFG_BUCKETS_PER_GROUP, true);
  const hash = hashTuple(PEER.ip, KERNEL.ip, port, kernelPort);
  return (hash % FLOW_GROUPS) + FLOW_GROUPS * (Math.floor(hash / FLOW_GROUPS) % perGroup);
}

/** Two cores that listen, a connection of the first, and a peer whose connection will be in the same bucket. */
class Scene {
  readonly cores: Cores;
  readonly bystander: TcpPeer;
  readonly newcomer: TcpPeer;
  readonly cookie: Uint8Array;

  constructor(build: KernelBuild) {
    this.cores = new Cores(build, 2);
    this.cores.listen(80, { fastOpen: 1 });
    const [dead] = this.cores.all;
    this.cookie = this.#askForCookie();
    const port = portFor(0, 2, 20_000, 81);
    this.bystander = TcpPeer.established(dead, { port, kernelPort: 81 });
    const bucket = bucketOf(this.cores, port, 81);
    let other = portFor(0, 2, port + 1);
    while (bucketOf(this.cores, other) !== bucket) other = portFor(0, 2, other + 1);
    this.newcomer = new TcpPeer(dead, { port: other });
  }

  #askForCookie(): Uint8Array {
    const peer = new TcpPeer(this.cores.at(0), { port: portFor(0, 2, 30_000) });
    peer.sendSyn("S", { options: [fastOpen(), nop, nop] });
    const { options } = peer.expect({ flags: "SA" }).header;
    peer.send({ flags: "R", seq: 1 });
    return options.flatMap((option) => (option.kind === "unknown" ? [option.data] : []))[0];
  }

  /** The bystander's connection lives on, and is the only one once the newcomer has long been silent. */
  check(): void {
    const k = this.cores.at(1);
    const { bystander } = this;
    expect(
      k.events().some((event) => event.kind === "arrived" && event.handle === bystander.handle),
    ).toBe(true);
    expect(k.accept(bystander.handle)).toBe(RC_OK);
    bystander.k = k;
    k.advance(200 * SECOND);
    k.events();
    expect(k.gauge(GAUGE_CONNECTIONS)).toBe(1);
    bystander.takeAll();
    bystander.send({ payload: HELLO });
    expect(k.event("recv").data).toEqual(HELLO);
    // The one that may be half open was given back.
    this.newcomer.k = k;
    this.newcomer.takeAll();
    this.newcomer.sendSyn("S", { payload: HELLO, options: [fastOpen(this.cookie), nop, nop] });
    this.newcomer.expect({ flags: "SA", ack: 6 });
  }
}

const openings: [string, (scene: Scene) => void][] = [
  ["a SYN", ({ newcomer }) => newcomer.sendSyn("S")],
  [
    "a SYN with a cookie and data",
    ({ newcomer, cookie }) => {
      newcomer.sendSyn("S", { payload: HELLO, options: [fastOpen(cookie), nop, nop] });
    },
  ],
  ["connect", ({ cores }) => void cores.at(0).connect(PEER.ip, 4711)],
];

describe.each(kernels)("$name kernel", (build) => {
  const dying = mortal(build);

  test.each(openings)("%s: at every store", (_, open) => {
    let stores = 1;
    for (; ; stores++) {
      const scene = new Scene(dying);
      if (!dyingAfter(scene.cores.at(0), stores, () => open(scene))) break;
      takeOver(scene.cores);
      scene.check();
    }
    expect(stores).toBeGreaterThan(100);
  });
});
