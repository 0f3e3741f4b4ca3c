/** Writing to standard output, whatever is behind it. */

/** Fulfilled when the text is out; also when nobody reads it any more, as in `ixwasm stats | head`. */
export function write(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      const { code } = (error ?? {}) as NodeJS.ErrnoException;
      if (code === "EPIPE") process.exit(0);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Aborted by Ctrl-C (SIGINT) and SIGTERM, until `release` is called. */
export function interruption(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  process.once("SIGINT", abort);
  process.once("SIGTERM", abort);
  return {
    signal: controller.signal,
    release() {
      process.off("SIGINT", abort);
      process.off("SIGTERM", abort);
    },
  };
}
