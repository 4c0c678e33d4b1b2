import { appendFileSync, closeSync, openSync, readSync, renameSync, statSync } from 'node:fs';

const LIMIT_BYTES = 5 * 1024 * 1024;

/** Opens a log for appending, readable by this user; one above the limit is put aside as `.1` first. */
export function openLog(path: string): number {
  if (size(path) > LIMIT_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

const NOTE = '--- ';

/** A line of the supervisor's among the part's own: when it was ready, and how it ended. */
export function noteInLog(path: string, words: string): void {
  appendFileSync(path, `${NOTE}${new Date().toISOString()} ${words}\n`, { mode: 0o600 });
}

/**
 * The error that a log ends in: a start that failed, or an exception that nobody caught, with Node's stack below it. What
 * a part logs besides may reach the file after its last words; a good start has the supervisor's note.
 */
export function errorAtEnd(lines: readonly string[]): string | undefined {
  const end = lines.findLastIndex(
    (line) => !(line.startsWith(NOTE) && line.includes(' ended unexpectedly (')) && !/^\{"level":[123]0,/.test(line),
  );
  const last = lines[end] ?? '';
  if (/ (?:could not start|did not stop cleanly): /.test(last)) return last;
  if (!/^Node\.js v\d/.test(last)) return undefined;
  return lines.slice(0, end).findLast((line) => /^\w*(?:Error|Exception)\b.*:/.test(line)) ?? last;
}

export function size(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/** The last lines written after `from`, for telling why a part ended. */
export function lastLines(path: string, from: number, count: number): string[] {
  const end = size(path);
  const start = Math.max(from, end - 8192);
  if (end <= start) return [];
  const bytes = new Uint8Array(end - start);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, start);
  } finally {
    closeSync(file);
  }
  const lines = new TextDecoder().decode(bytes).split('\n');
  return lines.filter((line) => line.trim() !== '').slice(-count);
}
