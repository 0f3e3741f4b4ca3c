/** `ixwasm policy`: who decides how many cores a run uses. */
import { Argument, type Command } from "commander";
import { withRun } from "../control-client.ts";
import type { PolicyStatus } from "../director.ts";
import { write } from "../output.ts";
import { POLICIES } from "../policies.ts";
import { clientCommand, targetOf, type TargetOptions } from "./target.ts";

const EXAMPLES = `  ixwasm policy                     which one decides
  ixwasm policy delay               cores by how long packets wait
  ixwasm policy off                 nobody: ixwasm cores does

Policies:
${policyList()}
`;

export function policyCommand(): Command {
  return clientCommand("policy", EXAMPLES)
    .description("Shows which policy decides on the cores of a run, or sets it.")
    .addArgument(new Argument("[name]", "policy").choices([...POLICIES.keys(), "off"]))
    .action(policy);
}

async function policy(name: string | undefined, options: TargetOptions): Promise<void> {
  await withRun(targetOf(options), async (run) => {
    const status = await run.request<PolicyStatus>("policy", { name });
    const changes = status.policy === "off" ? "" : `, ${status.changes} changes so far`;
    const error = status.error === undefined ? "" : `\nthe last one failed: ${status.error}`;
    await write(`${status.policy}${changes}${error}\n`);
  });
}

/** The policies and what they do, a line each. */
export function policyList(): string {
  const lines = [...POLICIES].map(
    ([name, { description }]) => `  ${name.padEnd(15)}${description}`,
  );
  return lines.join("\n");
}
