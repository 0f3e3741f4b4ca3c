/** A reporter that says at the end of a run how many of Node core's behaviours ixwasm/net has. */
import type { Reporter, TestModule } from "vitest/node";

const SUITES = /\/test\/node-net\/[^/]+\.test\.ts$/;

export class BehaviourCount implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    let [passed, different, failed] = [0, 0, 0];
    for (const module of modules) {
      if (!SUITES.test(module.moduleId.replaceAll("\\", "/"))) continue;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "failed") failed++;
        else if (state === "passed" && test.options.fails === true) different++;
        else if (state === "passed") passed++;
      }
    }
    const all = passed + different + failed;
    if (all === 0) return;
    const share = ((100 * passed) / all).toFixed(1);
    console.log(
      `node:net and node:http on ixwasm: ${passed} of ${all} behaviours (${share} %), ` +
        `${different} known differences, ${failed} failures\n`,
    );
  }
}
