/**
 * Turns of the thread's event loop, by what no test replaces: taken when the module is loaded, before
 * fake timers are installed.
 */
type Immediate = (callback: () => void) => unknown;

const immediate = (globalThis as { setImmediate?: Immediate }).setImmediate;
const channel = immediate === undefined ? new MessageChannel() : undefined;

/** Resolves after the event loop has turned once: all that waited for it has run. */
export function turnOfEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (immediate !== undefined) {
      immediate(resolve);
      return;
    }
    channel!.port1.onmessage = () => resolve();
    channel!.port2.postMessage(0);
  });
}
