/**
 * The demo as Vite serves and builds it. The two headers isolate the page, so that its workers may share
 * memory; a static host sends them too, or the page does all on one thread and says so. Hosts that read a
 * file `_headers` (Netlify, Cloudflare Pages) find it in demo/public.
 */
import { defineConfig } from "vite";

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  root: import.meta.dirname,
  // Relative, so that the built page works from any folder of any host.
  base: "./",
  server: { headers: ISOLATION },
  preview: { headers: ISOLATION },
  worker: { format: "es" },
  build: {
    outDir: "../build/demo",
    emptyOutDir: true,
    target: "es2022",
  },
});
