/**
 * Least score of what is heard against the far sentence, and greatest against the own one. A copy scores 0.98 to 1 and
 * other words at most 0.4; what is between leaves room for stalls of the machine, 0.8 s in a recording of six.
 */
export const FAR = 0.85;
export const OWN = 0.5;

/**
 * So long a stretch of the sentence may not be missing. A copy in the full band lacks 20 ms at most; of the sibilants at 48 kHz
 * a telephone's band of 4 kHz carries too little, which counts as 100 ms in one sentence and 80 ms in the other.
 */
export const HOLE_MS = 200;
