import { defineConfig } from "vitest/config";
import { BehaviourCount } from "./test/support/behaviour-count.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/global-setup.ts",
    pool: "forks",
    reporters: ["default", new BehaviourCount()],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // A condition that is waited for comes when the machine has time for it.
    expect: { poll: { timeout: 20_000 } },
  },
});
