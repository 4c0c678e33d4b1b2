/** How somebody who was to be rung did not answer. */
export interface Failure {
  readonly status: number;
  /** For a person; may be empty. */
  readonly reason: string;
  /** It rang until its time was over: whatever others said, nobody answered. */
  readonly rangOut?: boolean;
}

/**
 * The one of several failures that the caller gets (RFC 3261 16.7 step 6): 6xx first; else the lowest class, and within
 * 4xx what tells the caller most. A phone's own challenge or redirection is not for the caller.
 */
export function bestOf(failures: readonly Failure[]): Failure {
  const none: Failure = { status: 480, reason: 'nobody could be rung' };
  const best = failures.reduce(
    (a: Failure | undefined, b) => (a === undefined || rank(b) < rank(a) ? b : a),
    undefined,
  );
  if (!best) return none;
  if (best.status === 401 || best.status === 407 || best.status < 400)
    return { status: 480, reason: 'the phone did not take the call' };
  return best;
}

function rank({ status, rangOut }: Failure): number {
  if (status >= 600) return -1;
  if (rangOut) return 0;
  if (status === 486) return 1;
  if (status === 488 || status === 415) return 2;
  if (status === 480) return 4;
  if (status === 408) return 5;
  return status < 500 ? 3 : 6;
}

export function wordsFor(status: number, callee: string): string {
  const words: Readonly<Record<number, string>> = {
    408: `${callee}'s phone does not answer`,
    480: `${callee} cannot be reached`,
    486: `${callee} is busy`,
    488: `${callee}'s phone cannot do what was offered`,
    603: `${callee} declined`,
  };
  return words[status] ?? `${callee}'s phone refused the call`;
}
