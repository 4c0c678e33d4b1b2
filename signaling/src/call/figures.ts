import type { Branch, Call, Leg } from './call.ts';
import { SessionFigures } from './session-figures.ts';

/** Counts of calls, and the figures of RFC 6076 for each side of them. */
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
  ended = 0;
  noAck = 0;
  /** Reliable provisional responses that the caller never acknowledged, and PRACKs of ours that were refused or not answered. */
  noPrack = 0;
  prackFailed = 0;
  mediaLost = 0;
  /** Calls that went on at another media relay after theirs was gone. */
  reanchored = 0;
  /** Completed by this server on REFER. */
  transferred = 0;
  /** Taken over from a process that died. */
  restored = 0;
  flowsReplaced = 0;
  /** Phones that were asked for a key frame by INFO, and those that would not have it. */
  picturesAsked = 0;
  picturesRefused = 0;
  lostConnections = 0;
  /** Towards callers this server is the UAS, towards who is called the UAC. */
  readonly caller = new SessionFigures();
  readonly callee = new SessionFigures();

  /** An answer to the caller's INVITE, other than 100. */
  countTold(call: Call, status: number, nowMs: number): void {
    call.toldMs ??= nowMs;
    if (status < 200) return;
    const delayMs = call.toldMs - call.startedAtMs;
    if (status >= 300) {
      this.caller.refused(status, delayMs);
      return;
    }
    call.a.establishedMs = nowMs;
    this.caller.established(delayMs);
  }

  /** The called phone's 2xx, the one that is taken. */
  countTaken({ leg, invitedMs = 0, toldMs }: Branch, nowMs: number): void {
    leg.establishedMs = nowMs;
    this.callee.established((toldMs ?? nowMs) - invitedMs);
  }

  /**
   * The failure of a called phone, silence being 408 and a lost connection 503 (RFC 3261 8.1.3.1). One that stopped because
   * another phone was quicker is no attempt that failed.
   */
  countRefused(branch: Branch, status: number, nowMs: number): void {
    const { abandoned, failure, call, invitedMs, toldMs } = branch;
    if (invitedMs === undefined || (abandoned && !call.givenUp && !failure?.rangOut)) return;
    this.callee.refused(status, (toldMs ?? nowMs) - invitedMs);
  }

  /** The session of a leg is over: it has hung up, or has answered our BYE; or it can't be reached any more. */
  countOver(leg: Leg, how: 'completed' | 'failed', nowMs: number): void {
    if (leg.establishedMs === undefined) return;
    this.#of(leg).ended(how, nowMs - leg.establishedMs);
    leg.establishedMs = undefined;
  }

  /** What came of our BYE: the status of its answer, or none. A session lasts until the BYE, or until that is given up. */
  countBye(leg: Leg, { sentMs, status }: { sentMs: number; status: number | undefined }, nowMs: number): void {
    const { disconnectDelay } = this.#of(leg);
    const isDone = status !== undefined && status < 300;
    disconnectDelay[isDone ? 'success' : 'failure'].observe((nowMs - sentMs) / 1000);
    // 4.9: a session fails to complete by "a lack of response"; a refused BYE has ended it too.
    if (status === undefined) this.countOver(leg, 'failed', nowMs);
    else this.countOver(leg, 'completed', sentMs);
  }

  #of(leg: Leg): SessionFigures {
    return leg.isCalled ? this.callee : this.caller;
  }

  countEnd(status: number, wasAnswered: boolean): void {
    this.ended++;
    if (wasAnswered) return;
    if (status === 487) return; // counted as cancelled
    if (status === 486 || status >= 600) this.refusedByCallee++;
    else if (status === 408 || status === 480) this.unanswered++;
    else this.failed++;
  }
}
