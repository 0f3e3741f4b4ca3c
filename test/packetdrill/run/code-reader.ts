/** Expressions of Python, read and evaluated in one go, by precedence. */
import { Unsupported } from "../language/errors.ts";
import type { Value } from "./code.ts";

const TOKENS =
  /\s*(?:(0x[0-9a-fA-F]+|\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+|\d+(?:[eE][-+]?\d+)?)|('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|([A-Za-z_]\w*)|(\*\*|\/\/|<<|>>|[<>=!]=|[-+*/%&|^]=|[-+*/%&|^~<>=(),[\].:]))/y;

interface Token {
  readonly kind: "number" | "string" | "name" | "operator" | "end";
  readonly text: string;
}

/** Binary operators, loosest first; comparisons stand between the last two groups and "not". */
const BINARY: readonly (readonly string[])[] = [
  ["|"],
  ["^"],
  ["&"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "//", "%"],
];

const COMPARISONS = ["==", "!=", "<=", ">=", "<", ">"];

export class CodeReader {
  readonly #tokens: Token[];
  readonly #lookUp: (name: string) => Value;
  readonly #source: string;
  #at = 0;
  /** Above 0: what is read is not evaluated, as behind a false "and". */
  #skipping = 0;

  constructor(source: string, lookUp: (name: string) => Value) {
    this.#source = source;
    this.#lookUp = lookUp;
    this.#tokens = this.#tokenize(source);
  }

  accept(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token.text !== text || token.kind === "string") return false;
    this.#at++;
    return true;
  }

  name(): string {
    const token = this.#tokens[this.#at];
    if (token.kind !== "name") this.#refuse();
    this.#at++;
    return token.text;
  }

  /** `=`, or `+=` and the like. */
  operator(): string {
    const { text } = this.#tokens[this.#at];
    if (!/^([-+*/%&|^])?=$/.test(text)) this.#refuse();
    this.#at++;
    return text;
  }

  end(): void {
    if (this.#tokens[this.#at].kind !== "end") this.#refuse();
  }

  truth(value: Value): boolean {
    if (Array.isArray(value)) return value.length > 0;
    return Boolean(value);
  }

  show(value: Value): string {
    if (value === true) return "True";
    if (value === false) return "False";
    if (value === null) return "None";
    if (Array.isArray(value))
      return `(${value.map((entry: Value) => this.show(entry)).join(", ")})`;
    return String(value);
  }

  /** `a or b`. */
  expression(): Value {
    let left = this.#and();
    while (this.accept("or")) {
      const held = this.truth(left);
      const right = this.#skipIf(held, () => this.#and());
      if (!held) left = right;
    }
    return left;
  }

  apply(operator: string, left: Value, right: Value): Value {
    if (this.#skipping > 0) return 0;
    if (operator === "%" && typeof left === "string") return this.#format(left, right);
    if (operator === "+" && typeof left === "string") return left + this.show(right);
    const [a, b] = [this.#number(left), this.#number(right)];
    switch (operator) {
      case "+":
        return a + b;
      case "-":
        return a - b;
      case "*":
        return a * b;
      case "/":
        return a / b;
      case "//":
        return Math.floor(a / b);
      case "%":
        return a - b * Math.floor(a / b);
      case "**":
        return a ** b;
      case "<<":
        return a * 2 ** b;
      case ">>":
        return Math.floor(a / 2 ** b);
      default:
        return this.#bits(operator, a, b);
    }
  }

  #and(): Value {
    let left = this.#not();
    while (this.accept("and")) {
      const held = this.truth(left);
      const right = this.#skipIf(!held, () => this.#not());
      if (held) left = right;
    }
    return left;
  }

  #not(): Value {
    return this.accept("not") ? !this.truth(this.#not()) : this.#comparison();
  }

  /** `a < b <= c` holds when every link of the chain does. */
  #comparison(): Value {
    let left = this.#binary(0);
    let held = true;
    let compared = false;
    for (;;) {
      const operator = COMPARISONS.find((text) => this.accept(text));
      if (operator === undefined) return compared ? held : left;
      const right = this.#binary(0);
      held &&= this.#compare(operator, left, right);
      left = right;
      compared = true;
    }
  }

  #compare(operator: string, left: Value, right: Value): boolean {
    if (this.#skipping > 0) return false;
    if (operator === "==") return this.show(left) === this.show(right);
    if (operator === "!=") return this.show(left) !== this.show(right);
    const [a, b] = [this.#number(left), this.#number(right)];
    if (operator === "<") return a < b;
    if (operator === "<=") return a <= b;
    return operator === ">" ? a > b : a >= b;
  }

  #binary(level: number): Value {
    if (level === BINARY.length) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const operator = BINARY[level].find((text) => this.accept(text));
      if (operator === undefined) return left;
      left = this.apply(operator, left, this.#binary(level + 1));
    }
  }

  #unary(): Value {
    if (this.accept("-")) return -this.#number(this.#unary());
    if (this.accept("+")) return this.#unary();
    if (this.accept("~")) return -this.#number(this.#unary()) - 1;
    const base = this.#primary();
    return this.accept("**") ? this.apply("**", base, this.#unary()) : base;
  }

  #primary(): Value {
    const token = this.#tokens[this.#at++];
    switch (token.kind) {
      case "number":
        return Number(token.text);
      case "string":
        return token.text.slice(1, -1).replace(/\\(.)/g, "$1");
      case "name":
        return this.#named(token.text);
    }
    if (token.text === "(") return this.#tuple();
    return this.#refuse();
  }

  #named(name: string): Value {
    if (name === "True") return true;
    if (name === "False") return false;
    if (name === "None") return null;
    if (!this.accept("(")) return this.#skipping > 0 ? 0 : this.#lookUp(name);
    const argument = this.#tuple();
    const args: readonly Value[] = Array.isArray(argument) ? argument : [argument];
    const numbers = args.map((value) => this.#number(value));
    switch (name) {
      case "abs":
        return Math.abs(numbers[0]);
      case "min":
        return Math.min(...numbers);
      case "max":
        return Math.max(...numbers);
      case "int":
        return Math.trunc(numbers[0]);
      case "float":
        return numbers[0];
      default:
        throw new Unsupported(`%{ }% function ${name}`);
    }
  }

  /** Behind `(`: one value, or several as a tuple. */
  #tuple(): Value {
    const values: Value[] = [];
    let commas = 0;
    while (!this.accept(")")) {
      values.push(this.expression());
      if (this.accept(",")) commas++;
      else if (!this.accept(")")) this.#refuse();
      else break;
    }
    return commas === 0 && values.length === 1 ? values[0] : values;
  }

  /** `'%d of %d' % (1, 2)`. */
  #format(text: string, argument: Value): string {
    const values: Value[] = Array.isArray(argument) ? [...argument] : [argument as Value];
    return text.replace(/%(?:%|[-+0 #]*\d*(?:\.\d+)?[a-z])/g, (directive) =>
      directive === "%%" ? "%" : this.show(values.shift() ?? null),
    );
  }

  /** Exact beyond 32 bits. */
  #bits(operator: string, a: number, b: number): number {
    const [x, y] = [BigInt(a), BigInt(b)];
    if (operator === "&") return Number(x & y);
    return Number(operator === "|" ? x | y : x ^ y);
  }

  #number(value: Value): number {
    if (typeof value === "number") return value;
    if (typeof value === "boolean") return value ? 1 : 0;
    return this.#refuse();
  }

  #skipIf<T>(skip: boolean, read: () => T): T {
    if (!skip) return read();
    this.#skipping++;
    try {
      return read();
    } finally {
      this.#skipping--;
    }
  }

  #tokenize(source: string): Token[] {
    const tokens: Token[] = [];
    let at = 0;
    while (at < source.length && source.slice(at).trim() !== "") {
      TOKENS.lastIndex = at;
      const match = TOKENS.exec(source);
      if (!match) this.#refuse();
      const [, number, string, name] = match;
      const kind = number ? "number" : string ? "string" : name ? "name" : "operator";
      tokens.push({ kind, text: match[0].trim() });
      at = TOKENS.lastIndex;
    }
    tokens.push({ kind: "end", text: "" });
    return tokens;
  }

  #refuse(): never {
    throw new Unsupported(`%{ }% code "${this.#source}"`);
  }
}
