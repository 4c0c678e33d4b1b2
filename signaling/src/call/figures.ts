/** Counts of calls, by RFC 6076 where it has a name for them. */
export class CallFigures {
  attempts = 0;
  answered = 0;
  /** Refused by us: nobody of that name, nobody signed in, limits. */
  rejected = 0;
  cancelled = 0;
  /** Refused by the callee: 486, 600, 603. */
  refusedByCallee = 0;
  /** Nobody answered: 408, 480. */
  unanswered = 0;
  failed = 0;
  /** Ineffective attempts (4.8): 408, 500, 503 and 504 of whatever cause. */
  ineffective = 0;
  ended = 0;
  noAck = 0;
  /** Reliable provisional responses that the caller never acknowledged, and PRACKs of ours that were refused or not answered. */
  noPrack = 0;
  prackFailed = 0;
  mediaLost = 0;
  /** Completed by this server on REFER. */
  transferred = 0;
  /** Taken over from a process that died. */
  restored = 0;
  flowsReplaced = 0;
  lostConnections = 0;
  /** Sums for averages over `answered`: session request delay (4.3.1), session duration (4.5). */
  requestDelayMs = 0;
  durationMs = 0;

  countAnswer(delayMs: number): void {
    this.answered++;
    this.requestDelayMs += delayMs;
  }

  /** @param talkedMs undefined when the call was never answered. */
  countEnd(status: number, talkedMs: number | undefined): void {
    this.ended++;
    if (talkedMs !== undefined) {
      this.durationMs += talkedMs;
      return;
    }
    if ([408, 500, 503, 504].includes(status)) this.ineffective++;
    if (status === 487) return; // counted as cancelled
    if (status === 486 || status >= 600) this.refusedByCallee++;
    else if (status === 408 || status === 480) this.unanswered++;
    else this.failed++;
  }
}
