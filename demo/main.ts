/** Puts the page together: state, engine, picture, charts, levers, tours. */
import type { IncidentReport, PageMessage, Snapshot } from "./engine/messages.ts";
import { Board } from "./charts/board.ts";
import { Inspector } from "./inspector/packet.ts";
import { CoreControls } from "./levers/cores.ts";
import { LeverPanel } from "./levers/panel.ts";
import { Description } from "./page/description.ts";
import { write } from "./page/dom.ts";
import { Engine } from "./page/engine.ts";
import { FrameRate } from "./page/frame-rate.ts";
import { buildLegend } from "./page/legend.ts";
import { Masthead } from "./page/masthead.ts";
import { Picture } from "./picture/picture.ts";
import { RunState } from "./state/run.ts";
import { Guide } from "./tours/guide.ts";
import type { TourAction } from "./tours/tours.ts";
import { Transport } from "./transport/bar.ts";

const byId = (id: string): HTMLElement => document.getElementById(id)!;

/** How long an incident stays in the picture, ms. */
const INCIDENT_FOR = 6000;

const run = new RunState();
const send = (message: PageMessage): void => engine.send(message);

const engine = new Engine({
  onReady: (ready) => {
    picture.clear();
    board.clear();
    masthead.showMode(ready);
    watch(watched);
  },
  onSnapshot: show,
  onPacket: (life) => {
    picture.chosen = life.id;
    inspector.show(life);
  },
  onCapture: (file) => masthead.save(file),
  onIncident: report,
  onFailed: (message) => masthead.showFailure(message),
});

const masthead = new Masthead({
  link: () => run.link,
  askForCapture: () => send({ type: "capture" }),
});

const migrate = (groups: number[], to: number): void => send({ type: "migrate", groups, to });
const kill = (core: number): void => send({ type: "kill", core });

const picture = new Picture(byId("picture"), byId("speech"), run.scenario, {
  onMigrate: migrate,
  onPacket: (id) => send({ type: "packet", id }),
  onWatch: watch,
});
const inspector = new Inspector(byId("inspector"), () => (picture.chosen = -1));
const transport = new Transport(byId("transport"), run, send);
const cores = new CoreControls({ migrate, kill });
buildLegend(byId("legend"));
const levers = new LeverPanel(byId("levers"), run, {
  Server: [cores.move],
  Trouble: [cores.kill],
});
const board = new Board(byId("charts"));
const description = new Description(byId("description"));
const frames = new FrameRate();
let watched = 0;

const guide = new Guide(byId("tour"), {
  start: (scenario, pace) => run.start(scenario, pace),
  set: (changes) => run.set(changes),
  setPace: (pace) => run.setPace(pace),
  point: (region) => picture.point(region),
  act,
  resume: () => transport.pause(false),
});

run.listen((change) => {
  picture.scenario = run.scenario;
  levers.show();
  if (change.what === "levers") send({ type: "set", changes: change.changes });
  else if (change.what === "pace") send({ type: "pace", pace: change.pace });
  else send({ type: "start", scenario: run.scenario, pace: run.pace });
});

function watch(flow: number): void {
  watched = flow;
  picture.watched = flow;
  send({ type: "watch", flow });
}

function act(action: TourAction): void {
  if (action.type === "levers") run.set(action.changes);
  else if (action.type === "kill") kill(action.core);
  else if (action.type === "iteration") send({ type: "step", by: "iteration" });
  else cores.moveHalf(action.from, action.to);
}

function show(snapshot: Snapshot): void {
  picture.take(snapshot);
  transport.take(snapshot);
  cores.take(snapshot);
  board.take(snapshot);
  description.take(snapshot);
  frames.take(snapshot);
}

let incidentTimer: ReturnType<typeof setTimeout> | undefined;

function report({ text }: IncidentReport): void {
  write(byId("incident"), text);
  clearTimeout(incidentTimer);
  incidentTimer = setTimeout(() => write(byId("incident"), ""), INCIDENT_FOR);
}

let before = performance.now();

function frame(wall: number): void {
  const seconds = Math.min(0.1, Math.max(0, (wall - before) / 1000));
  before = wall;
  engine.askForFrame();
  picture.draw(seconds);
  frames.count(wall);
  requestAnimationFrame(frame);
}

levers.show();
guide.open();
send({ type: "start", scenario: run.scenario, pace: run.pace });
requestAnimationFrame(frame);
