import { monotonicMs } from '@offhook/core/node';

const TICK_MS = 50;
/** The loop is this late: more comes in than is done. */
const LATE_MS = 100;

/** Tells of each tick of the event loop whether it came late. Answers what ends it. */
export function watchLag(onTick: (isLate: boolean) => void): () => void {
  let dueMs = monotonicMs() + TICK_MS;
  const timer = setInterval(() => {
    const nowMs = monotonicMs();
    onTick(nowMs - dueMs > LATE_MS);
    dueMs = nowMs + TICK_MS;
  }, TICK_MS).unref();
  return () => clearInterval(timer);
}
