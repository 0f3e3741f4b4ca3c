/** A built page on a server of its own, opened in Chromium; for tests that skip where there is none. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { build } from "vite";

export const CHROMIUM = "/usr/bin/chromium";
export const hasChromium = existsSync(CHROMIUM);
if (!hasChromium) console.log(`no ${CHROMIUM}: the tests of the page in a browser are skipped`);

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** A folder with a built page. */
export interface Site {
  readonly folder: string;
  remove(): Promise<void>;
}

/** Builds the page of a Vite root into a temporary folder. */
export async function buildSite(root: string): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "ixwasm-demo-"));
  await build({
    root,
    base: "./",
    configFile: false,
    logLevel: "error",
    worker: { format: "es" },
    build: { outDir: folder, emptyOutDir: true, target: "es2022" },
  });
  return { folder, remove: () => rm(folder, { recursive: true }) };
}

/** A page of a site in a browser; what it complains of is gathered. */
export interface OpenPage {
  readonly page: Page;
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

export interface OpenOptions extends BrowserContextOptions {
  /** What the address ends with, from "#" on. */
  readonly hash?: string;
}

export async function openPage(
  site: Site,
  isIsolated: boolean,
  { hash = "", ...context }: OpenOptions = {},
): Promise<OpenPage> {
  const server = await serve(site.folder, isIsolated ? ISOLATION : {});
  const browser = await launch();
  const page = await browser.newPage(context);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  const { port } = server.address() as AddressInfo;
  await page.goto(`http://127.0.0.1:${port}/${hash}`);
  return {
    page,
    complaints,
    async close() {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

async function serve(folder: string, headers: Record<string, string>): Promise<Server> {
  const server = createServer((request, response) => {
    const path = new URL(request.url!, "http://localhost").pathname;
    const file = join(folder, normalize(path.endsWith("/") ? `${path}index.html` : path));
    readFile(file).then(
      (bytes) => {
        const type = TYPES[extname(file)] ?? "application/octet-stream";
        response.writeHead(200, { ...headers, "Content-Type": type }).end(bytes);
      },
      () => response.writeHead(path === "/favicon.ico" ? 204 : 404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
