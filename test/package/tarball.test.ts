/**
 * The package as its users get it: packed, unpacked into an empty folder, and used from there by what the
 * README shows, in ESM and CommonJS, with types, and bundled for a page.
 */
import { execFile, execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transformSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasChromium, openPage } from "../demo/served-page.ts";
import { certificate } from "../support/certificate.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** The programs of the README: those of its `ts` blocks that import what they use. */
const programs = Array.from(
  readFileSync(join(root, "README.md"), "utf8").matchAll(/```ts\n(import [\s\S]*?)```/g),
  ([, program]) => program,
);
/** What they print, by a word that only one of them has; the test among them is vitest's. */
const PRINTS: readonly (readonly [has: string, prints: string])[] = [
  ["hello, dataplane", "hello, dataplane (after"],
  ["simTests", ""],
  ["you asked for", "you asked for /news"],
  ["between us", "between us"],
  ["WebSocketServer", "echo of hello"],
  ["undiciConnector", "{ answer: 42 }"],
  ["pg.Client", "[ { answer: 42 } ]"],
  ["hello, page", "hello, page"],
  ["hello, streams", "hello, streams from 10.0.0.1:7"],
  ["hello, datagrams", "hello, datagrams"],
];
const ENTRIES = ["", "/net", "/dgram", "/sockets", "/sim", "/abi"].map((entry) => `ixwasm${entry}`);

/** What newcomers write, in plain JavaScript, and what they must be told. */
const MISTAKES: readonly (readonly [does: string, told: string])[] = [
  [
    "createDataplane()",
    'option "ip" must be an IPv4 address with prefix length such as 10.0.0.1/24',
  ],
  ["createDataplane(ip)", 'option "options" must be an object, got "10.0.0.1/24"'],
  ["createDataplane({ ip: '10.0.0.1' })", 'option "ip" must be an IPv4 address with prefix length'],
  ["createDataplane({ ip, core: 2 })", 'option "core" is unknown; known are name, kernel, ip'],
  ["createDataplane({ ip, core: 2 })", 'Did you mean "cores"?'],
  [
    "createDataplane({ ip, cores: '2' })",
    'option "cores" must be an integer from 1 to 64, got "2"',
  ],
  [
    "createDataplane({ ip, frames: 2 ** 21, applicationWindow: 2 ** 30 })",
    'What sizes them is "frames", "applicationWindow", "maxConnections" and "cores"',
  ],
  ["createDataplane({ ip, kernel: loadKernel() })", "got a Promise, which is to be awaited"],
  ["createDataplane({ ip, kernel: empty })", "module is not the kernel"],
  ["loadKernelSync('debug')", "the package has the release build alone"],
  ["await loadKernel('./a.wasm')", 'of a file it is new URL("./a.wasm", import.meta.url)'],
  ["await loadKernel('file:///nowhere/a.wasm')", "/nowhere/a.wasm does not exist"],
  ["connectPorts(a, b)", "that of a dataplane is dataplane.port"],
  ["createSwitch([a, b])", "that of a dataplane is dataplane.port"],
  ["connectPorts(a.port, b.port, { latency: 5 })", "latency: a link has no such option"],
  ["new InlineRunner({ clock: 'fast' })", 'option "clock" must be "virtual" or "real", got "fast"'],
  ["runner.run({ for: 5 })", 'option "for" is unknown; known are until, forMicros, maxSteps'],
  ["runner.add(a)", 'one of "wire" and "backend" must be given: wires come from connectPorts'],
  ["runner.add(a, { wire })", 'option "app" must be a function that makes the application'],
  ["runner.add(b, { wire, app() {} })", "must be a function that returns an App, such as an Ixev"],
  ["ixev.dial(new IxevContext(), 'localhost', 7)", 'not an IP address: "localhost"'],
  ["ixev.dial(new IxevContext(), '10.0.0.2', '7')", 'port: "7" is not a whole number from 1 to'],
  ["ixev.dial({}, '10.0.0.2', 7)", "a connection needs a fresh IxevContext of its own"],
  ["ixev.listen(70000)", "port: 70000 is not a whole number from 1 to 65535"],
  ["dialed().send('text')", "new TextEncoder().encode(text) makes one of a text"],
  ["dialed().setHandler(IXEVIN)", "setHandler needs a handler to call"],
  ["await startThreaded({ dataplane: a })", 'option "dataplanes" must be an array of { dataplane,'],
  [
    "await startThreaded([{ dataplane: a, wire, app: () => ixev }])",
    "the URL of a JavaScript module",
  ],
  [
    "await startThreaded([{ dataplane: a, wire, app: { module: './app.js' } }])",
    'such as new URL("./app.js", import.meta.url), got "./app.js"',
  ],
  ["createNetwork({ latency: 5 })", 'option "latency" is unknown; known are kernel, clock'],
  ["createNetwork().addHost()", 'option "name" must be the name of the host'],
  ["connect({ port: 7, via: createNetwork() })", "must be a Host, as network.addHost returns it"],
  ["connect('/tmp/socket')", "a dataplane has neither paths nor descriptors"],
];

let folder: string;
const at = (...path: string[]): string => join(folder, ...path);

/** Unpacks the tarball as npm would; what the package and its users need else is the checkout's. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ixwasm-user-"));
  const modules = at("node_modules");
  mkdirSync(join(modules, "ixwasm"), { recursive: true });
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const [{ filename }] = JSON.parse(
    execFileSync("npm", pack, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  ) as [{ filename: string }];
  execFileSync("tar", ["xzf", at(filename), "-C", join(modules, "ixwasm"), "--strip-components=1"]);
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== ".bin") symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  const { key, cert } = certificate();
  writeFileSync(at("key.pem"), key);
  writeFileSync(at("cert.pem"), cert);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true }));

/** Checks programs as `tsc` does with the least a user would write. */
function checkTypes(files: readonly string[], module: string, moduleResolution: string) {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const options = ["--noEmit", "--strict", "--target", "es2023", "--types", "node"];
  const how = ["--module", module, "--moduleResolution", moduleResolution, "--ignoreConfig"];
  return run(process.execPath, [tsc, ...options, ...how, ...files], { cwd: folder }).then(
    () => "",
    ({ stdout }: { stdout: string }) => stdout,
  );
}

describe("the package from its tarball", () => {
  it("has a test for every program of the README", () => {
    const known = programs.map((program) => PRINTS.filter(([has]) => program.includes(has)).length);
    expect(known).toEqual(PRINTS.map(() => 1));
  });

  it("has types, in ESM and CommonJS, for Node and for bundlers", async () => {
    const files = programs.map((program, i) => {
      writeFileSync(at(`recipe-${i}.mts`), program);
      return `recipe-${i}.mts`;
    });
    const required = ENTRIES.map((entry, i) => `import e${i} = require("${entry}");\nvoid e${i};`);
    writeFileSync(at("required.cts"), required.join("\n"));
    expect(await checkTypes([...files, "required.cts"], "nodenext", "nodenext")).toBe("");
    expect(await checkTypes(files, "esnext", "bundler")).toBe("");
  }, 120_000);

  it.each(PRINTS.filter(([, prints]) => prints !== ""))(
    "runs the README's program with %j as it stands",
    async (has, prints) => {
      const program = programs.find((text) => text.includes(has))!;
      const { code } = transformSync(program, { loader: "ts", format: "esm", target: "es2022" });
      const file = at(`${has.replace(/\W/g, "-")}.mjs`);
      writeFileSync(file, code);
      const { stdout } = await run(process.execPath, [file], { cwd: folder, timeout: 20_000 });
      expect(stdout).toContain(prints);
    },
    30_000,
  );

  it("runs the README's test with loss", async () => {
    const program = programs.find((text) => text.includes("simTests"))!;
    writeFileSync(at("loss.test.ts"), program);
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const { stdout } = await run(process.execPath, [vitest, "run", "--root", folder], {
      cwd: folder,
      timeout: 60_000,
      env: { ...process.env, NO_COLOR: "1" },
    });
    expect(stdout).toContain("1 passed");
  }, 90_000);

  it("can be required", async () => {
    const program = `
      for (const entry of ${JSON.stringify(ENTRIES)}) {
        if (Object.keys(require(entry)).length === 0) throw new Error(entry);
      }
      const { createServer, connect } = require("ixwasm/net");
      const server = createServer((socket) => socket.pipe(socket));
      server.listen(7, () => {
        const socket = connect(7);
        socket.end("required");
        socket.on("data", (data) => console.log(String(data)));
        socket.on("close", () => server.close());
      });`;
    writeFileSync(at("required-too.cjs"), program);
    const { stdout, stderr } = await run(process.execPath, [at("required-too.cjs")], {
      timeout: 20_000,
    });
    expect(stdout.trim()).toBe("required");
    expect(stderr).toBe("");
  }, 30_000);

  it("tells newcomers what is wrong and what to do", async () => {
    const trials = MISTAKES.map(([does]) => `await told(async () => { ${does}; });`);
    const program = `
      import * as all from "ixwasm";
      import { connect, createNetwork } from "ixwasm/net";
      const { connectPorts, createDataplane, createSwitch, InlineRunner } = all;
      const { Ixev, IxevContext, IXEVIN, loadKernel, loadKernelSync, startThreaded } = all;
      const ip = "10.0.0.1/24";
      const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
      const a = createDataplane({ ip });
      const b = createDataplane({ ip: "10.0.0.2/24" });
      const c = createDataplane({ ip: "10.0.0.3/24" });
      const [wire] = connectPorts(a.port, b.port);
      const runner = new InlineRunner();
      let ixev;
      runner.add(c, { wire, app: ({ ix }) => (ixev = new Ixev(ix)) });
      const dialed = () => {
        const context = new IxevContext();
        ixev.dial(context, "10.0.0.2", 7);
        return context;
      };
      const messages = [];
      const told = (trial) => trial().then(
        () => messages.push("nothing"),
        (error) => messages.push(String(error.message)),
      );
      ${trials.join("\n")}
      console.log(JSON.stringify(messages));
      process.exit();`;
    writeFileSync(at("mistakes.mjs"), program);
    const { stdout } = await run(process.execPath, [at("mistakes.mjs")], { timeout: 20_000 });
    const messages = JSON.parse(stdout) as string[];
    expect(messages).toHaveLength(MISTAKES.length);
    for (const [i, [does, told]] of MISTAKES.entries()) expect(messages[i], does).toContain(told);
  }, 30_000);

  it("is bundled by Vite for a page, with the kernel as an asset", async () => {
    mkdirSync(at("page"));
    const listening = "<script>console.log = (text) => (document.title = text)</script>";
    const main = '<script type="module" src="./main.ts"></script>';
    writeFileSync(at("page/index.html"), listening + main);
    writeFileSync(
      at("page/main.ts"),
      programs.find((text) => text.includes("hello, page"))!,
    );
    const vite = join(root, "node_modules/vite/bin/vite.js");
    const { stdout, stderr } = await run(
      process.execPath,
      [vite, "build", at("page"), "--target", "es2022"],
      { cwd: folder, env: { ...process.env, NO_COLOR: "1" } },
    );
    expect(stderr).toBe("");
    expect(stdout).not.toMatch(/warn|externalized|doesn't exist/i);
    const assets = readdirSync(at("page/dist/assets"));
    expect(assets.filter((name) => name.endsWith(".wasm"))).toHaveLength(1);
    expect(assets.filter((name) => name.endsWith(".js"))).not.toHaveLength(0);
    if (!hasChromium) return;
    const site = { folder: at("page/dist"), remove: async () => {} };
    const { page, complaints, close } = await openPage(site, true);
    try {
      await expect.poll(() => page.title(), { timeout: 20_000 }).toBe("hello, page");
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  }, 120_000);
});
