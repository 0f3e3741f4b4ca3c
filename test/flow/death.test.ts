/**
 * A thread that dies while it opens or ends a connection, at whichever of its stores: the core that takes over
 * has neither lost another connection nor kept a half-made one for ever.
 */
import { describe, expect, test } from "vitest";
import {
  CONFIG_BASE,
  CFG_BUCKETS_PER_GROUP,
  FLOW_GROUPS,
  GAUGE_CONNECTIONS,
  RC_OK,
} from "../../assembly/abi.ts";
import { pattern, text } from "../support/bytes.ts";
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

  /** The newcomer has a connection, over which something is on its way. */
  open(): void {
    const { newcomer } = this;
    newcomer.sendSyn("S");
    newcomer.expect({ flags: "SA" });
    newcomer.send();
    newcomer.handle = newcomer.k.event("knock").handle;
    expect(newcomer.k.accept(newcomer.handle)).toBe(RC_OK);
    newcomer.k.send(newcomer.handle, HELLO);
  }

  /**
   * The bystander's connection lives on, and is the only one once the newcomer has long been silent, and its
   * application has nothing to do with it any more.
   */
  check(): void {
    const k = this.cores.at(1);
    const { bystander, newcomer } = this;
    const arrived = k.events().flatMap((e) => (e.kind === "arrived" ? [e.handle] : []));
    expect(arrived).toContain(bystander.handle);
    expect(k.accept(bystander.handle)).toBe(RC_OK);
    // One that its core died over is reset, and accepted in vain.
    if (arrived.includes(newcomer.handle) && k.accept(newcomer.handle) === RC_OK) {
      expect(k.abort(newcomer.handle)).toBe(RC_OK);
    }
    bystander.k = k;
    k.advance(2000 * SECOND);
    k.events();
    expect(k.gauge(GAUGE_CONNECTIONS)).toBe(1);
    bystander.takeAll();
    bystander.send({ payload: HELLO });
    expect(k.event("recv").data).toEqual(HELLO);
    // The one that may be half open was given back.
    k.sent();
    const next = new TcpPeer(k, { port: newcomer.port });
    next.sendSyn("S", { payload: HELLO, options: [fastOpen(this.cookie), nop, nop] });
    next.expect({ flags: "SA", ack: 6 });
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

const endings: [string, (scene: Scene) => void][] = [
  ["a RST", ({ newcomer }) => newcomer.send({ flags: "R" })],
  [
    "an ACK of what still waits for the NIC",
    ({ cores, newcomer }) => {
      const [k] = cores.all;
      k.nic.stalled = true;
      k.send(newcomer.handle, pattern(4000));
      newcomer.send({ ack: 1 + HELLO.length + 4000 });
      k.nic.stalled = false;
    },
  ],
  ["a FIN", ({ newcomer }) => newcomer.send({ flags: "FA" })],
  ["abort", ({ cores, newcomer }) => void cores.at(0).abort(newcomer.handle)],
  ["close", ({ cores, newcomer }) => void cores.at(0).close(newcomer.handle)],
];

describe.each(kernels)("$name kernel", (build) => {
  const dying = mortal(build);

  /** Has a new core die before the first store of what it does, the second, and so on; returns how many it has. */
  function storesOf(prepare: (scene: Scene) => void, act: (scene: Scene) => void): number {
    for (let stores = 1; ; stores++) {
      const scene = new Scene(dying);
      prepare(scene);
      if (!dyingAfter(scene.cores.at(0), stores, () => act(scene))) return stores;
      takeOver(scene.cores);
      scene.check();
    }
  }

  test.each(openings)("%s: at every store", (_, open) => {
    expect(storesOf(() => {}, open)).toBeGreaterThan(100);
  });

  test.each(endings)("%s: at every store", (_, end) => {
    expect(storesOf((scene) => scene.open(), end)).toBeGreaterThan(50);
  });
});
