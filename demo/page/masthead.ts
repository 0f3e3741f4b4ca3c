/** The head of the page: which mode runs and why, the link, the capture, the theme. */
import type { CaptureFile, Ready } from "../engine/messages.ts";
import { write } from "./dom.ts";
import { startTheme } from "./theme.ts";

/** How long a button says that it has done its work, ms. */
const DONE_FOR = 1600;

function byId(id: string): HTMLButtonElement {
  return document.getElementById(id) as HTMLButtonElement;
}

export interface MastheadActions {
  link(): string;
  askForCapture(): void;
}

export class Masthead {
  readonly #mode = document.getElementById("mode")!;
  readonly #capture = byId("capture");

  constructor(actions: MastheadActions) {
    const share = byId("share");
    share.addEventListener("click", () => {
      const link = actions.link();
      void navigator.clipboard.writeText(link).then(
        () => say(share, "Copied"),
        // Without the permission the address line has it all the same.
        () => say(share, "It is in the address"),
      );
    });
    this.#capture.addEventListener("click", () => {
      this.#capture.disabled = true;
      actions.askForCapture();
    });
    startTheme(byId("theme"));
  }

  showMode(ready: Ready): void {
    write(this.#mode, modeText(ready));
    this.#mode.title = this.#mode.textContent ?? "";
  }

  showFailure(message: string): void {
    write(this.#mode, `The engine stopped: ${message}`);
    this.#mode.title = message;
  }

  save({ bytes, packets }: CaptureFile): void {
    this.#capture.disabled = false;
    const url = URL.createObjectURL(new Blob([bytes], { type: "application/x-pcapng" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = "ixwasm.pcapng";
    link.click();
    URL.revokeObjectURL(url);
    say(this.#capture, `${packets} packets`);
  }
}

function modeText({ mode, threads }: Ready): string {
  if (mode === "slow") return "Virtual time, simulated cores; repeatable by its seed";
  if (mode === "threads") return `Real time on ${threads} threads that share memory`;
  return "Real time on one thread: without COOP and COEP a page shares no memory";
}

function say(target: HTMLButtonElement, text: string): void {
  const before = target.dataset.text ?? target.textContent ?? "";
  target.dataset.text = before;
  target.style.minWidth = `${target.offsetWidth}px`;
  write(target, text);
  setTimeout(() => write(target, before), DONE_FOR);
}
