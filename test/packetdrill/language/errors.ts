/** What keeps a script from passing, other than the stack's doing wrong. */

/** The script uses something that the interpreter or the stack does not have. */
export class Unsupported extends Error {
  constructor(construct: string) {
    super(construct);
    this.name = "Unsupported";
  }
}

/** The script's text does not follow the grammar. */
export class SyntaxFault extends Error {
  readonly line: number;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.name = "SyntaxFault";
    this.line = line;
  }
}

/** What the script expects is not what happened. */
export class Mismatch extends Error {
  readonly line: number;
  readonly expected: string | undefined;
  readonly actual: string | undefined;

  constructor(line: number, reason: string, expected?: string, actual?: string) {
    super(reason);
    this.name = "Mismatch";
    this.line = line;
    this.expected = expected;
    this.actual = actual;
  }
}
