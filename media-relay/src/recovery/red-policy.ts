/** Distances of the copies, in packets, cheapest first. */
export const RED_OFFSETS: readonly (readonly number[])[] = [[], [1], [1, 2], [2, 4], [2, 4, 6]];
/** The farthest of them. */
export const MAX_DISTANCE = 6;

/** Below this loss copies cost more than they bring. */
export const RED_ON = 0.01;
/** Once on it stays so down to here, so that it doesn't flap. */
export const RED_OFF = 0.005;
/** Beyond it more packets only make things worse (the limit of Amazon Chime's SDK). */
const HOPELESS = 0.75;
/** Good enough: cheaper copies are not given up for dearer ones below this. */
const TARGET = 0.0105;

/**
 * Share of packets that neither arrive nor have a copy that does, in the two-state model of bursts (libwebrtc's): when one is
 * lost, the one `d` later is with p + (1 − p) · λ^d, where λ = 1 − 1/L − p / ((1 − p) · L).
 *
 * @param loss 0–1. @param meanBurst packets in a row; 1 / (1 − p) is independent loss. @param offsets ascending.
 */
export function residualLoss(loss: number, meanBurst: number, offsets: readonly number[]): number {
  const lambda = correlation(loss, meanBurst);
  let residual = loss;
  for (let i = 0, before = 0; i < offsets.length; i++) {
    const distance = offsets[i]! - before;
    residual *= loss + (1 - loss) * lambda ** distance;
    before = offsets[i]!;
  }
  return residual;
}

/**
 * The cheapest copies that bring the loss below 1 %, else those that bring it lowest; none when there is less than 1 % to begin
 * with. `isOn` = copies are sent already.
 */
export function chooseOffsets(loss: number, meanBurst: number, isOn: boolean): readonly number[] {
  const none = RED_OFFSETS[0]!;
  if (!(loss >= (isOn ? RED_OFF : RED_ON)) || loss >= HOPELESS) return none;
  let best = none;
  let lowest = Number.POSITIVE_INFINITY;
  for (let i = 1; i < RED_OFFSETS.length; i++) {
    const residual = residualLoss(loss, meanBurst, RED_OFFSETS[i]!);
    if (residual < lowest) {
      lowest = residual;
      best = RED_OFFSETS[i]!;
    }
    if (residual <= TARGET) break;
  }
  return best;
}

function correlation(loss: number, meanBurst: number): number {
  if (loss <= 0 || loss >= 1) return 0;
  // Bursts shorter than chance makes them are chance.
  const burst = Math.max(meanBurst, 1 / (1 - loss));
  return Math.max(0, 1 - 1 / burst - loss / ((1 - loss) * burst));
}
