/**
 * The packets that are in the picture, and where each is. What the engine says of a packet gives the
 * place it belongs to at a moment; its sprite runs after that place along the packet's way. So a hop that
 * takes no time, such as the hash, can still be seen, and a step moves what it should move.
 *
 * At full speed a packet's times are too short for any eye: a sampled packet then takes its whole way in
 * about a second, and its times only say how it ended.
 */
import type { Packet, Snapshot } from "../engine/messages.ts";
import type { Layout } from "./geometry.ts";
import { Ways, type Place, type Way } from "./paths.ts";

export interface Sprite extends Place {
  packet: Packet;
  way: Way;
  /** Pixels from the beginning of the way: where it is. */
  distance: number;
  /** Seconds until it begins; full speed spreads a sample over the time to the next one. */
  wait: number;
  /** How many are before it in its ring or its batch. */
  rank: number;
  /** 1 while it is on its way; fades to 0 after its end. */
  presence: number;
  /** Its way is over. */
  ended: boolean;
}

/** More would neither be told apart nor be drawn in time. */
const MOST_SPRITES = 420;
const MOST_SAMPLES = 90;

/** A sprite closes this share of its distance in a second, or more when it is far behind. */
const CATCH_UP_SECONDS = 0.28;
const SLOWEST = 260;
const FADE_SECONDS = 0.35;
const SAMPLE_SECONDS = 1.5;

export class Scene {
  readonly sprites = new Map<number, Sprite>();
  #ways: Ways;
  #layout: Layout;
  #full = false;
  /** The sprites in each core's RX ring, and in its batch: reused, so that a frame allocates none. */
  readonly #lines = new Map<number, Sprite[]>();

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#ways = new Ways(layout);
  }

  clear(): void {
    this.sprites.clear();
  }

  /** After a change of the layout each sprite keeps its share of its way. */
  relayOut(layout: Layout): void {
    if (layout === this.#layout) return;
    this.#layout = layout;
    this.#ways.renew(layout);
    for (const sprite of this.sprites.values()) this.#rewind(sprite);
  }

  take(snapshot: Snapshot): void {
    const full = snapshot.mode !== "slow";
    if (full !== this.#full) this.clear();
    this.#full = full;
    let late = 0;
    for (const packet of snapshot.packets) {
      const known = this.sprites.get(packet.id);
      if (known !== undefined) this.#update(known, packet);
      else if (!full) this.#add(packet, 0);
      else if (this.sprites.size < MOST_SAMPLES) this.#add(packet, (late++ * 0.045) % 0.7);
    }
    for (const id of this.sprites.keys()) {
      if (this.sprites.size <= MOST_SPRITES) break;
      this.sprites.delete(id);
    }
  }

  #add(packet: Packet, wait: number): void {
    const way = this.#ways.of(packet.way, packet.flow, packet.group, packet.core);
    const begin = packet.way === "out" && packet.payload === 0 ? way.distance("protocols") : 0;
    const sprite = {
      packet,
      way,
      distance: begin,
      wait,
      rank: 0,
      presence: 1,
      ended: false,
      u: 0,
      v: 0,
    };
    this.sprites.set(packet.id, sprite);
  }

  #update(sprite: Sprite, packet: Packet): void {
    const moved =
      packet.core !== sprite.packet.core ||
      packet.group !== sprite.packet.group ||
      packet.flow !== sprite.packet.flow;
    sprite.packet = packet;
    if (moved) this.#rewind(sprite);
  }

  /** Puts a sprite on the way that it has now, as far along as it was. */
  #rewind(sprite: Sprite): void {
    const { packet } = sprite;
    const share = sprite.way.length === 0 ? 0 : sprite.distance / sprite.way.length;
    sprite.way = this.#ways.of(packet.way, packet.flow, packet.group, packet.core);
    sprite.distance = share * sprite.way.length;
  }

  /** @param now the engine's clock, µs @param seconds since the last call; 0 jumps to where all belong */
  advance(now: number, seconds: number): void {
    if (!this.#full) this.#queueUp();
    for (const [id, sprite] of this.sprites) {
      if (this.#full) this.#sample(sprite, seconds);
      else this.#follow(sprite, now, seconds);
      if (sprite.presence <= 0) this.sprites.delete(id);
      else sprite.way.at(sprite.distance, sprite);
    }
  }

  /** Ranks those that stand in a ring, and those of a batch, by when they came. */
  #queueUp(): void {
    for (const line of this.#lines.values()) line.length = 0;
    for (const sprite of this.sprites.values()) {
      const { fate, way, core } = sprite.packet;
      if (way === "out" || (fate !== "waiting" && fate !== "running")) continue;
      const key = fate === "waiting" ? core : -2 - core;
      let line = this.#lines.get(key);
      if (line === undefined) this.#lines.set(key, (line = []));
      line.push(sprite);
    }
    for (const line of this.#lines.values()) {
      line.sort((a, b) => (a.packet.ring ?? 0) - (b.packet.ring ?? 0));
      for (let rank = 0; rank < line.length; rank++) line[rank].rank = rank;
    }
  }

  #follow(sprite: Sprite, now: number, seconds: number): void {
    const goal = this.#goal(sprite, now);
    const gap = goal - sprite.distance;
    if (seconds === 0) sprite.distance = goal;
    else if (gap > 0) {
      const speed = Math.max(SLOWEST, gap / CATCH_UP_SECONDS);
      sprite.distance = Math.min(goal, sprite.distance + speed * seconds);
    }
    const { fate } = sprite.packet;
    const over = fate === "done" || fate === "lost" || fate === "dropped";
    sprite.ended = over && goal - sprite.distance < 1;
    if (sprite.ended) {
      const pace = fate === "done" ? 1 : 0.3;
      sprite.presence -= seconds === 0 ? 1 : (seconds * pace) / FADE_SECONDS;
    }
  }

  #goal(sprite: Sprite, now: number): number {
    const { packet, way } = sprite;
    const start = way.distance("left");
    const finish = way.distance("arrived");
    if (packet.fate === "flying" || packet.fate === "lost") {
      const until = Math.min(now, packet.endedAt ?? now);
      const share = (until - packet.sent) / Math.max(1e-6, packet.arrives - packet.sent);
      return start + Math.min(1, Math.max(0, share)) * (finish - start);
    }
    return packet.way === "out" ? finish : this.#goalInside(sprite, now);
  }

  #goalInside({ packet, way, rank }: Sprite, now: number): number {
    if (packet.fate === "dropped") return way.distance("steered");
    const row = this.#layout.rows[Math.max(0, packet.core)];
    if (packet.taken === undefined || packet.taken > now) {
      return way.distance("ring") - Math.min(row.rx.du - 8, rank * slotWidth(row.rx.du));
    }
    // The packets of a batch go through together, one behind the other.
    const behind = Math.min(row.receive.du, rank * 7);
    if (packet.app !== undefined && packet.app <= now) return way.distance("app") - behind / 2;
    if (packet.protocols !== undefined && packet.protocols <= now) {
      return way.distance("protocols") - behind;
    }
    return way.distance("receive") - behind;
  }

  #sample(sprite: Sprite, seconds: number): void {
    if (sprite.wait > 0) {
      sprite.wait -= seconds;
      return;
    }
    const goal = sampleEnd(sprite);
    sprite.distance = Math.min(
      goal,
      sprite.distance + (sprite.way.length * seconds) / SAMPLE_SECONDS,
    );
    sprite.ended = sprite.distance >= goal;
    if (sprite.ended || seconds === 0) sprite.presence -= Math.max(seconds, 0.016) / FADE_SECONDS;
  }
}

/** Where a sampled packet's way ends: at its end, or halfway along the link when that lost it. */
function sampleEnd({ packet, way }: Sprite): number {
  if (packet.fate === "lost") {
    return (way.distance("left") + way.distance("arrived")) / 2;
  }
  if (packet.fate === "dropped") return way.distance("steered");
  return way.length;
}

/** A slot of an RX ring as it is drawn, pixels. */
export function slotWidth(ring: number): number {
  return Math.max(4, ring / 16);
}
