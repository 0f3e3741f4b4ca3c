/**
 * What a pointer and the keys do on the picture: choose flow groups by brushing over the RETA, carry them
 * to a core, choose a packet or a connection.
 */
import { FLOW_GROUPS, MAX_CORES } from "../engine/messages.ts";
import { clientOf, coreAt, groupAt, RETA_ACROSS, type Layout } from "./geometry.ts";
import type { Scene, Sprite } from "./scene.ts";

export interface GestureTarget {
  readonly layout: Layout;
  readonly scene: Scene;
  readonly flows: readonly number[];
  /** The core whose queue each group goes to. */
  reta(group: number): number;
  onMigrate(groups: number[], to: number): void;
  onPacket(id: number): void;
  onWatch(flow: number): void;
  /** Says something to readers of screens. */
  say(text: string): void;
}

/** How far from a packet's middle a press still means it, pixels; a finger is broader. */
const REACH = { mouse: 10, touch: 20 };

export class Gestures {
  readonly selected = new Set<number>();
  /** The entry that the keys are at, or -1. */
  cursor = -1;
  /** The packet that is chosen, or -1. */
  chosen = -1;
  /** Where the pointer is, in the layout's coordinates; undefined when it is elsewhere. */
  pointer: { u: number; v: number } | undefined;
  carrying = false;
  readonly #target: GestureTarget;
  readonly #canvas: HTMLCanvasElement;
  #brushing = false;

  constructor(canvas: HTMLCanvasElement, target: GestureTarget) {
    this.#canvas = canvas;
    this.#target = target;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", () => this.#cancel());
    canvas.addEventListener("pointerleave", () => (this.pointer = undefined));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => (this.cursor = -1));
  }

  /** The core under what is being carried, or -1. */
  get dropCore(): number {
    if (!this.carrying || this.pointer === undefined) return -1;
    return coreAt(this.#target.layout, this.pointer.u, this.pointer.v);
  }

  #place(event: PointerEvent): { u: number; v: number } {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    return this.#target.layout.upright ? { u: y, v: x } : { u: x, v: y };
  }

  #down(event: PointerEvent): void {
    const { u, v } = (this.pointer = this.#place(event));
    const group = groupAt(this.#target.layout, u, v);
    if (group >= 0) {
      event.preventDefault();
      this.#canvas.focus({ preventScroll: true });
      this.#canvas.setPointerCapture(event.pointerId);
      this.#brushing = true;
      if (!this.selected.has(group)) {
        if (!event.shiftKey) this.selected.clear();
        this.selected.add(group);
      }
      return;
    }
    this.#press(u, v, event.pointerType === "touch" ? REACH.touch : REACH.mouse);
  }

  #press(u: number, v: number, reach: number): void {
    const sprite = this.#spriteAt(u, v, reach);
    if (sprite !== undefined) {
      this.#choose(sprite.packet.id);
      return;
    }
    const { layout, flows } = this.#target;
    const flow = flows.findIndex((_, index) => {
      const square = clientOf(layout, index);
      return (
        u >= square.u - 1 &&
        u <= square.u + square.du + 1 &&
        v >= square.v - 1 &&
        v <= square.v + square.dv + 1
      );
    });
    const core = coreAt(layout, u, v);
    if (flow >= 0) this.#target.onWatch(flow);
    else if (core >= 0) this.#selectCore(core);
    else this.selected.clear();
  }

  #move(event: PointerEvent): void {
    const { u, v } = (this.pointer = this.#place(event));
    if (!this.#brushing) return;
    const { layout } = this.#target;
    const group = groupAt(layout, u, v);
    if (group >= 0 && !this.carrying) this.selected.add(group);
    if (u > layout.reta.u + layout.reta.du + 6) this.carrying = true;
  }

  #up(event: PointerEvent): void {
    this.pointer = this.#place(event);
    const core = this.dropCore;
    if (core >= 0) this.#send(core);
    this.#cancel();
  }

  #cancel(): void {
    this.#brushing = false;
    this.carrying = false;
  }

  #send(core: number): void {
    const groups = [...this.selected].filter((group) => this.#target.reta(group) !== core);
    this.selected.clear();
    if (groups.length === 0) return;
    this.#target.onMigrate(groups, core);
    this.#target.say(`${groups.length} flow groups go to core ${core}`);
  }

  #choose(id: number): void {
    this.chosen = id;
    this.#target.onPacket(id);
  }

  #selectCore(core: number): void {
    this.selected.clear();
    for (let group = 0; group < FLOW_GROUPS; group++) {
      if (this.#target.reta(group) === core) this.selected.add(group);
    }
    this.#target.say(`${this.selected.size} flow groups of core ${core} chosen`);
  }

  #spriteAt(u: number, v: number, reach: number): Sprite | undefined {
    let nearest: Sprite | undefined;
    let least = reach;
    for (const sprite of this.#target.scene.sprites.values()) {
      const distance = Math.hypot(sprite.u - u, sprite.v - v);
      if (distance >= least || sprite.wait > 0) continue;
      [nearest, least] = [sprite, distance];
    }
    return nearest;
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = this.#target.layout.upright
      ? { ArrowRight: RETA_ACROSS, ArrowLeft: -RETA_ACROSS, ArrowDown: 1, ArrowUp: -1 }
      : { ArrowRight: 1, ArrowLeft: -1, ArrowDown: RETA_ACROSS, ArrowUp: -RETA_ACROSS };
    const step = steps[event.key as keyof typeof steps];
    if (step !== undefined) this.#step(step, event.shiftKey);
    else if (event.key === " " && this.cursor >= 0) this.#toggle(this.cursor);
    else if (/^[0-7]$/.test(event.key) && Number(event.key) < MAX_CORES)
      this.#sendByKey(Number(event.key));
    else if (event.key === "Escape") this.selected.clear();
    else if (event.key.toLowerCase() === "p") this.#nextPacket(event.shiftKey ? -1 : 1);
    else if (event.key === "Enter" && this.chosen >= 0) this.#target.onPacket(this.chosen);
    else return;
    event.preventDefault();
  }

  #step(step: number, extend: boolean): void {
    const from = Math.max(0, this.cursor);
    const next = this.cursor < 0 ? 0 : Math.min(FLOW_GROUPS - 1, Math.max(0, from + step));
    if (extend) {
      const [low, high] = [Math.min(from, next), Math.max(from, next)];
      for (let group = low; group <= high; group++) this.selected.add(group);
    }
    this.cursor = next;
    const chosen = this.selected.size > 0 ? `, ${this.selected.size} chosen` : "";
    this.#target.say(`Flow group ${next}, core ${this.#target.reta(next)}${chosen}`);
  }

  #toggle(group: number): void {
    if (!this.selected.delete(group)) this.selected.add(group);
    this.#target.say(`${this.selected.size} flow groups chosen`);
  }

  #sendByKey(core: number): void {
    if (this.selected.size === 0 && this.cursor >= 0) this.selected.add(this.cursor);
    this.#send(core);
  }

  #nextPacket(step: number): void {
    const ids = [...this.#target.scene.sprites.keys()];
    if (ids.length === 0) return;
    const at = ids.indexOf(this.chosen);
    this.#choose(ids[(at + step + ids.length) % ids.length]);
  }
}
