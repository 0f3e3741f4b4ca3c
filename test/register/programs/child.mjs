import { spawn } from "node:child_process";
import { createConnection } from "node:net";

const child = spawn(process.execPath, ["-e", "process.stdin.pipe(process.stdout)"], {
  stdio: ["pipe", "pipe", "inherit"],
});
child.stdout.on("data", (data) => console.log(`child: ${data}`));
child.stdin.end("pipes stay");
createConnection({ host: "192.0.2.1", port: 1 })
  .on("error", () => {})
  .destroy();
