/**
 * Which scripts count when one asks how much of a suite passes: those that use socket calls, packets and
 * TCP_INFO alone, with kernel variables and the suite's usual set-up. What else a script does is found in its
 * text, before anything is run; the verdicts play no part.
 */

interface Rule {
  /** Why such a script does not count. */
  readonly reason: string;
  readonly path?: RegExp;
  /** Found in the text without comments. */
  readonly text?: RegExp;
}

const RULES: readonly Rule[] = [
  { reason: "PSP encryption", path: /(^|\/)psp\// },
  { reason: "packetdrill's tests of itself", path: /(^|\/)packetdrill\/tests\// },
  { reason: "TCP MD5 signatures", text: /TCP_MD5SIG|\bmd5 [0-9a-f.]/ },
  { reason: "queueing disciplines of Linux", text: /\btc qdisc/ },
  { reason: "parameters of Linux' modules", text: /\/sys\/module\// },
  { reason: "routes of the host", text: /\bip (?:-6 )?route\b/ },
  { reason: "counters of Linux", text: /\bnstat\b[^\n;]*\|/ },
  { reason: "files of /proc that are read", text: /\bgrep\b[^\n]*\/proc\// },
  { reason: "calls on files and pipes", text: /\b(?:open|pipe|splice|sendfile)\(/ },
  { reason: "memory counts of Linux' sockets", text: /\bSK_MEMINFO_/ },
];

/** Why a script does not count; undefined when it does. */
export function ineligible(path: string, source: string): string | undefined {
  const text = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  return RULES.find((rule) => rule.path?.test(path) || rule.text?.test(text))?.reason;
}
