/** Writing to standard output, whatever is behind it. */

/** Fulfilled when the text is out. Throws an OutputClosed when nobody reads it any more. */
export function write(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      const { code } = (error ?? {}) as NodeJS.ErrnoException;
      if (error) reject(code === "EPIPE" ? new OutputClosed() : error);
      else resolve();
    });
  });
}

/** Whoever reads the output has had enough, as in `ixwasm stats | head`: no failure. */
export class OutputClosed extends Error {}

// The error comes to who writes, who must not be interrupted by the event of the same.
process.stdout.on("error", () => {});
