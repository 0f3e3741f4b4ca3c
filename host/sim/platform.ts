/** What a simulated network needs of where it runs. */
export interface Platform {
  /** Resolves after the event loop has turned once: all that waited for it has run. */
  turn(): Promise<void>;
  /** Begins to watch for errors that reach nobody; returns what ends that. */
  watch?(fail: (error: unknown) => void): () => void;
}

/** Any engine with an event loop: messages have their turn after what waits. */
export const anywhere: Platform = {
  turn: () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(0);
    }),
};
