/** How long after the loss of the connection attempts come quickly. */
const EAGER_MS = 15_000;
const EAGER_CAP_MS = 1_000;
const PATIENT_CAP_MS = 20_000;
const FIRST_MS = 100;
const JITTER = 0.4;

/**
 * Delay before connection attempt `attempt` (0 = first after the loss): 0.1 s · 2^n, ±40 %, at most 1 s in the first
 * 15 s so that a short outage is over quickly, later at most 20 s so that a server coming back is not stormed. No end.
 * @param random uniform in [0, 1)
 */
export function backoffMs(attempt: number, sinceLossMs: number, random: () => number): number {
  const cap = sinceLossMs < EAGER_MS ? EAGER_CAP_MS : PATIENT_CAP_MS;
  const base = Math.min(cap, FIRST_MS * 2 ** Math.min(attempt, 20));
  return Math.round(base * (1 + JITTER * (2 * random() - 1)));
}
