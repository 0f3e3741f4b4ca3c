/** The page's end of the engine: starts its worker, hands on what it says, asks for a frame at a time. */
import type {
  CaptureFile,
  EngineMessage,
  IncidentReport,
  PacketLife,
  PageMessage,
  Ready,
  Snapshot,
} from "../engine/messages.ts";

export interface EngineEvents {
  onReady(ready: Ready): void;
  onSnapshot(snapshot: Snapshot): void;
  onPacket(life: PacketLife): void;
  onCapture(file: CaptureFile): void;
  onIncident(incident: IncidentReport): void;
  onFailed(message: string): void;
}

export class Engine {
  readonly #worker: Worker;
  readonly #events: EngineEvents;
  #asked = false;

  constructor(events: EngineEvents) {
    this.#events = events;
    this.#worker = new Worker(new URL("../engine/worker.ts", import.meta.url), { type: "module" });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<EngineMessage>) => {
      this.#take(data);
    });
    this.#worker.addEventListener("error", (event) => {
      events.onFailed(event.message || "The engine could not be loaded.");
    });
  }

  send(message: PageMessage): void {
    this.#worker.postMessage(message);
  }

  /** Asks for the next snapshot, unless one is under way. */
  askForFrame(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.send({ type: "frame" });
  }

  #take(message: EngineMessage): void {
    const events = this.#events;
    switch (message.type) {
      case "ready":
        events.onReady(message);
        break;
      case "snapshot":
        this.#asked = false;
        events.onSnapshot(message);
        break;
      case "packet":
        events.onPacket(message);
        break;
      case "capture":
        events.onCapture(message);
        break;
      case "incident":
        events.onIncident(message);
        break;
      case "failed":
        this.#asked = false;
        events.onFailed(message.message);
        break;
    }
  }
}
