/** Walks over the tokens of a script. */
import { SyntaxFault } from "./errors.ts";
import type { Token, TokenKind } from "./lexer.ts";

export class TokenReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get atEnd(): boolean {
    return this.peek().kind === "end";
  }

  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
  }

  /** The token taken last. */
  get last(): Token {
    return this.#tokens[Math.max(this.#at - 1, 0)];
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== "end") this.#at++;
    return token;
  }

  is(kind: TokenKind, text?: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === kind && (text === undefined || token.text === text);
  }

  /** Takes the symbol or word if it is next. */
  accept(text: string): boolean {
    const { kind, text: found } = this.peek();
    if ((kind !== "symbol" && kind !== "word") || found !== text) return false;
    this.next();
    return true;
  }

  expect(text: string): Token {
    if (!this.accept(text)) this.fail(`expected "${text}"`);
    return this.last;
  }

  take(kind: TokenKind): Token {
    if (!this.is(kind)) this.fail(`expected ${kind}`);
    return this.next();
  }

  /** An integer, decimal or hexadecimal. */
  integer(): number {
    if (!this.is("integer") && !this.is("hex")) this.fail("expected a number");
    return Number(this.next().text);
  }

  /** A number that may have a fraction. */
  number(): number {
    if (this.is("float")) return Number(this.next().text);
    return this.integer();
  }

  fail(reason: string): never {
    const { text, line } = this.peek();
    throw new SyntaxFault(line, `${reason}, found "${text.slice(0, 40)}"`);
  }
}
