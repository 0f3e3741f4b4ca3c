/** The picture: a canvas that shows the latest snapshot, and what the reader does on it. */
import { MAX_CORES, type Scenario, type Snapshot } from "../engine/messages.ts";
import { drawBackdrop, linkFacts } from "./draw-backdrop.ts";
import { Answers, drawClients, drawDrops } from "./draw-clients.ts";
import { drawCores, StageLights } from "./draw-cores.ts";
import { drawPackets } from "./draw-packets.ts";
import { drawReta, Glow } from "./draw-reta.ts";
import { layOut, type Box, type Layout } from "./geometry.ts";
import { Gestures } from "./gestures.ts";
import { onThemeChange, readPalette } from "./palette.ts";
import { Pen } from "./pen.ts";
import { hintAt, regionOf, type RegionName } from "./regions.ts";
import { Scene } from "./scene.ts";

export interface PictureEvents {
  onMigrate(groups: number[], to: number): void;
  onPacket(id: number): void;
  onWatch(flow: number): void;
}

const UNFOLD_SECONDS = 0.18;
/** Two pixels of the screen for one of the canvas suffice, and more would cost frames. */
const MOST_PIXELS = 2;

export class Picture {
  readonly #holder: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #backdrop = document.createElement("canvas");
  readonly #pen: Pen;
  readonly #backPen: Pen;
  readonly #hint: HTMLElement;
  readonly #speech: HTMLElement;
  readonly #scene: Scene;
  readonly #gestures: Gestures;
  readonly #glow = new Glow();
  readonly #lights = new StageLights();
  readonly #answers = new Answers();
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");
  readonly #open = new Float64Array(MAX_CORES).fill(1);
  #layout: Layout;
  #layoutKey = "";
  #backdropKey = "";
  #themes = 0;
  #ratio = 1;
  #snapshot: Snapshot | undefined;
  #receivedAt = 0;
  #pointed: RegionName | undefined;
  #watched = -1;
  #scenario: Scenario;

  constructor(holder: HTMLElement, speech: HTMLElement, scenario: Scenario, events: PictureEvents) {
    this.#scenario = scenario;
    this.#holder = holder;
    this.#speech = speech;
    this.#canvas = holder.querySelector("canvas")!;
    this.#hint = document.createElement("p");
    this.#hint.className = "hint";
    this.#hint.hidden = true;
    holder.append(this.#hint);
    const palette = readPalette();
    this.#pen = new Pen(this.#canvas.getContext("2d")!, palette);
    this.#backPen = new Pen(this.#backdrop.getContext("2d")!, palette);
    this.#layout = layOut(holder.clientWidth, holder.clientHeight, this.#wantedOpen(), 1);
    this.#scene = new Scene(this.#layout);
    this.#gestures = new Gestures(this.#canvas, this.#targetOf(events));
    onThemeChange(() => this.#onTheme());
  }

  #targetOf(events: PictureEvents): ConstructorParameters<typeof Gestures>[1] {
    const layout = (): Layout => this.#layout;
    const flows = (): readonly number[] => this.#snapshot?.flows ?? [];
    return {
      get layout() {
        return layout();
      },
      get flows() {
        return flows();
      },
      scene: this.#scene,
      reta: (group) => this.#snapshot?.groups.reta[group] ?? 0,
      onMigrate: (groups, to) => events.onMigrate(groups, to),
      onPacket: (id) => events.onPacket(id),
      onWatch: (flow) => events.onWatch(flow),
      say: (text) => (this.#speech.textContent = text),
    };
  }

  /** Begins anew: nothing of an earlier run is shown any more. */
  clear(): void {
    this.#scene.clear();
    this.#gestures.chosen = -1;
  }

  /** Marks a part of the picture, or none. */
  point(region: RegionName | undefined): void {
    this.#pointed = region;
  }

  /** The packet that the inspector shows, or -1. */
  set chosen(id: number) {
    this.#gestures.chosen = id;
  }

  set scenario(scenario: Scenario) {
    this.#scenario = scenario;
  }

  set watched(flow: number) {
    this.#watched = flow;
  }

  take(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#receivedAt = performance.now();
    this.#scene.take(snapshot);
    this.#glow.take(snapshot.groups.packets);
  }

  /** Draws a frame, `seconds` after the one before. */
  draw(seconds: number): void {
    this.#fit(seconds);
    const { context } = this.#pen;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#drawBackdrop();
    context.drawImage(this.#backdrop, 0, 0);
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    if (this.#snapshot !== undefined) this.#drawLive(this.#snapshot, seconds);
    if (this.#pointed !== undefined) this.#drawBrackets(regionOf(this.#layout, this.#pointed));
    this.#showHint();
  }

  #drawLive(snapshot: Snapshot, seconds: number): void {
    const pen = this.#pen;
    const now = this.#clock(snapshot);
    this.#scene.advance(now, this.#calm.matches ? 0 : seconds);
    this.#lights.advance(snapshot.cores, now, seconds);
    this.#answers.take(this.#scene);
    const { selected, cursor, chosen, dropCore } = this.#gestures;
    drawClients(pen, this.#layout, snapshot, this.#answers, this.#watched);
    drawDrops(pen, this.#layout, snapshot, linkFacts(this.#scenario).length);
    drawReta(pen, this.#layout, snapshot, this.#glow, selected, cursor);
    drawCores(pen, this.#layout, snapshot, this.#lights, dropCore);
    drawPackets(pen, this.#scene, snapshot.groups.owner, chosen);
    this.#drawCarried();
    this.#glow.fade(seconds);
    this.#answers.fade(seconds);
  }

  /** The engine's clock as it is by now; two frames beyond what it said at most. */
  #clock({ now, pace, paused }: Snapshot): number {
    if (paused || pace === "full") return now;
    const since = Math.min(0.034, (performance.now() - this.#receivedAt) / 1000);
    return now + since * pace;
  }

  #fit(seconds: number): void {
    const { clientWidth: width, clientHeight: height } = this.#holder;
    const ratio = Math.min(MOST_PIXELS, devicePixelRatio);
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== w || this.#canvas.height !== h) {
      for (const canvas of [this.#canvas, this.#backdrop]) [canvas.width, canvas.height] = [w, h];
    }
    this.#ratio = ratio;
    this.#approach(seconds);
    const connections = this.#snapshot?.flows.length ?? 1;
    const open = [...this.#open];
    const key = `${width} ${height} ${ratio} ${connections} ${open.map((share) => share.toFixed(3)).join()}`;
    if (key === this.#layoutKey) return;
    this.#layoutKey = key;
    this.#layout = layOut(width, height, open, connections);
    this.#pen.upright = this.#backPen.upright = this.#layout.upright;
    this.#scene.relayOut(this.#layout);
  }

  /** Rows fold and unfold as cores go and come. */
  #approach(seconds: number): void {
    const wanted = this.#wantedOpen();
    const share = this.#calm.matches ? 1 : 1 - Math.exp(-seconds / UNFOLD_SECONDS);
    for (let core = 0; core < MAX_CORES; core++) {
      const gap = wanted[core] - this.#open[core];
      this.#open[core] = Math.abs(gap) < 0.004 ? wanted[core] : this.#open[core] + gap * share;
    }
  }

  #wantedOpen(): number[] {
    const cores = this.#snapshot?.cores;
    return Array.from({ length: MAX_CORES }, (_, core) =>
      cores === undefined || cores[core].state === "active" ? 1 : 0,
    );
  }

  #drawBackdrop(): void {
    const { groups } = this.#snapshot ?? {};
    const owners =
      groups === undefined ? "" : `${groups.reta.join("")} ${groups.connections.join()}`;
    const { delay, jitter, loss, reorder, rate } = this.#scenario;
    const link = `${delay} ${jitter} ${loss} ${reorder} ${rate}`;
    const key = `${this.#layoutKey} ${this.#themes} ${link} ${owners}`;
    if (key === this.#backdropKey) return;
    this.#backdropKey = key;
    this.#backPen.context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    drawBackdrop(this.#backPen, this.#layout, this.#snapshot, this.#scenario);
  }

  #onTheme(): void {
    this.#themes++;
    this.#pen.palette = this.#backPen.palette = readPalette();
  }

  /** The corners of a box, as a photographer frames a picture. */
  #drawBrackets(box: Box): void {
    const { u, v, du, dv } = box;
    const arm = Math.min(14, du / 3, dv / 3);
    const { ink } = this.#pen.palette;
    for (const [cu, su] of [
      [u, 1],
      [u + du, -1],
    ]) {
      for (const [cv, sv] of [
        [v, 1],
        [v + dv, -1],
      ]) {
        this.#pen.line(cu, cv, cu + su * arm, cv, ink, 2.5);
        this.#pen.line(cu, cv, cu, cv + sv * arm, ink, 2.5);
      }
    }
  }

  #drawCarried(): void {
    const { carrying, pointer, selected, dropCore } = this.#gestures;
    if (!carrying || pointer === undefined) return;
    const text = `${selected.size} ${selected.size === 1 ? "group" : "groups"}`;
    const where = dropCore < 0 ? "" : ` to core ${dropCore}`;
    const pen = this.#pen;
    const [u, v] = [pointer.u + 12, pointer.v + 12];
    pen.paint({ u, v, du: pen.upright ? 22 : 128, dv: pen.upright ? 128 : 22 }, pen.palette.ink);
    const style = { colour: pen.palette.plate, size: 11, weight: 600 };
    pen.text(text + where, u + (pen.upright ? 11 : 8), v + (pen.upright ? 8 : 11), style);
  }

  #showHint(): void {
    const { pointer, carrying } = this.#gestures;
    const known = pointer !== undefined && this.#snapshot !== undefined && !carrying;
    const text = known ? hintAt(this.#layout, this.#snapshot!, pointer.u, pointer.v) : "";
    if (this.#hint.hidden !== (text === "")) this.#hint.hidden = text === "";
    if (text === "" || pointer === undefined) return;
    if (this.#hint.textContent !== text) this.#hint.textContent = text;
    const [x, y] = [this.#pen.x(pointer.u, pointer.v), this.#pen.y(pointer.u, pointer.v)];
    const left = Math.min(x + 14, this.#layout.width - this.#hint.offsetWidth - 6);
    const above = y > this.#layout.height - 90;
    const top = above ? y - this.#hint.offsetHeight - 12 : y + 16;
    this.#hint.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
  }
}
