import { type Logger, pino } from 'pino';

/** Lines are written together: after so many characters, or so many milliseconds. A `kill -9` may lose that much. */
const TOGETHER = 8192;
const LATEST_MS = 200;

/**
 * The log of this part, one line of JSON each; what is still held is written when the process ends by itself. It is written
 * by this thread: a file takes it at once, and to wake another thread for it costs more than the writing.
 */
export function openLog(name: string): Logger {
  const options = { dest: 1, sync: true, minLength: TOGETHER, periodicFlush: LATEST_MS };
  const destination = pino.destination(options);
  process.once('exit', () => destination.flushSync());
  return pino({ name }, destination);
}
