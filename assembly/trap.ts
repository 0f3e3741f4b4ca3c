/** What a broken invariant does in the release build: stop this instance at once, without a message. */
export function trap(
  _message: string | null,
  _file: string | null,
  _line: u32,
  _column: u32,
): void {
  unreachable();
}
