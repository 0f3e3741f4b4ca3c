/** Numbers as people read them: three digits that count, a unit, and thin spaces between thousands. */

const THIN = "\u202f";

export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** 1 234 → "1.23 k"; 60 000 → "60 k". */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "∞";
  for (const [unit, name] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (value >= unit * 0.9995) return `${digits(value / unit)}${THIN}${name}`;
  }
  return digits(value);
}

export function digits(value: number): string {
  const places = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return String(Number(value.toFixed(places)));
}

/** A time of µs: "20 µs", "1.5 ms". */
export function time(micros: number): string {
  if (!Number.isFinite(micros)) return "∞";
  if (micros >= 1e6) return `${digits(micros / 1e6)}${THIN}s`;
  if (micros >= 1e3) return `${digits(micros / 1e3)}${THIN}ms`;
  return `${digits(micros)}${THIN}µs`;
}

export function percent(share: number): string {
  return `${digits(share * 100)}${THIN}%`;
}

export function bytes(count: number): string {
  if (count >= 1024 && count % 1024 === 0) return `${count / 1024}${THIN}KiB`;
  return `${grouped(count)}${THIN}B`;
}

/** Bits a second. */
export function bitRate(rate: number): string {
  return `${short(rate)}bit/s`.replace(/(\d)bit/, `$1${THIN}bit`);
}
