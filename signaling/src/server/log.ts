import { type Logger, pino } from 'pino';

/** Lines are written together: after so many characters, or so many milliseconds. A `kill -9` may lose that much. */
const TOGETHER = 4096;
const LATEST_MS = 200;

/** The log of this part, one line of JSON each; what is still held is written when the process ends by itself. */
export function openLog(name: string): Logger {
  const options = { dest: 1, sync: false, minLength: TOGETHER, periodicFlush: LATEST_MS };
  return pino({ name }, pino.destination(options));
}
