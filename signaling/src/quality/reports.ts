import {
  type Crypto,
  createResponse,
  hex,
  readVqReport,
  type SipMessage,
  VQ_TYPE,
  type VqMetrics,
  type VqReport,
} from '@offhook/core';
import { RateLimit, Recent } from '../auth/index.ts';
import { type CallSummary, refusal } from '../call/index.ts';
import type { TransactionCommand, TransactionLayer } from '../transaction/index.ts';

export interface QualityReportsOptions {
  readonly crypto: Crypto;
  readonly transactions: Pick<TransactionLayer, 'respond'>;
  /** The answered call that a phone of that user knows by that Call-ID. */
  readonly callOf: (user: string, callId: string) => CallSummary | undefined;
}

/** What has to be known of a call. */
type Reported = Pick<CallSummary, 'id' | 'from' | 'to' | 'users' | 'isPrivate'>;

/** What a phone has measured, or was told by the other side's. */
type Figures = Pick<
  VqMetrics,
  'lossPercent' | 'discardPercent' | 'jitterMs' | 'roundTripMs' | 'mosListening' | 'mosConversational'
>;

/** How a call sounds at one of its phones. */
export interface QualityNews extends Figures, Reported {
  /** Whose phone says so. */
  readonly user: string;
  readonly report: VqReport['kind'];
  /** What became bad, and how bad. */
  readonly alert?: string;
  readonly severity?: string;
  readonly remote?: Figures;
  readonly codec?: string;
}

interface Refusal {
  readonly status: number;
  readonly words: string;
  readonly headers?: readonly (readonly [string, string | number])[];
}

/** Session reports come with the BYE, or when it has been answered: so long a BYE may be under way (RFC 3261 17.1.2.2: 64*T1). */
const AFTER_MS = 32_000;
/** Phones of calls that have ended; those that ended first are forgotten when there are more. */
const MOST_ENDED = 40_000;
/** Reports of one phone in one call: one each 5 s in the long run, and some at once, for alerts and the end come when they come. */
const RATE = { perSecond: 0.2, burst: 4 };
const RETRY_S = 5;

/**
 * The collector of voice quality reports (RFC 6035), which phones publish during their calls and at their end. Nothing is kept
 * of them: who may see the call is told.
 */
export class QualityReports {
  readonly counters = { taken: 0, refused: 0 };
  readonly #options: QualityReportsOptions;
  readonly #ended = new Recent<{ readonly call: Reported; readonly atMs: number }>(MOST_ENDED);
  readonly #rates = new RateLimit();
  readonly #news: QualityNews[] = [];
  #agedAtMs = 0;

  constructor(options: QualityReportsOptions) {
    this.#options = options;
  }

  poll(): QualityNews | undefined {
    return this.#news.shift();
  }

  /** A call is over, and its phones may still report on it. */
  handleEnded(call: CallSummary, phones: readonly { user: string; callId: string }[], nowMs: number): void {
    if (nowMs - this.#agedAtMs >= AFTER_MS) {
      this.#ended.age();
      this.#agedAtMs = nowMs;
    }
    const { id, from, to, users, isPrivate } = call;
    const ended = { call: { id, from, to, users, isPrivate }, atMs: nowMs };
    for (const { user, callId } of phones) this.#ended.set(keyOf(user, callId), ended);
  }

  /** A PUBLISH of an account with this event package, by the steps of RFC 3903 6; whom it names as collector is all one. */
  handle({ id, message, account = '' }: Extract<TransactionCommand, { kind: 'request' }>, nowMs: number): void {
    const { crypto, transactions } = this.#options;
    const toTag = hex(crypto.randomBytes(8));
    const got = this.#read(message, account, nowMs);
    if ('status' in got) {
      this.counters.refused++;
      transactions.respond(id, refusal(message, got.status, got.words, toTag, got.headers), nowMs);
      return;
    }
    this.counters.taken++;
    this.#news.push(newsOf(got.report, got.call, account));
    const headers = [
      ['SIP-ETag', hex(crypto.randomBytes(8))],
      ['Expires', 0],
    ] as const;
    transactions.respond(id, createResponse(message, 200, undefined, { toTag, headers }), nowMs);
  }

  #read(request: SipMessage, user: string, nowMs: number): { report: VqReport; call: Reported } | Refusal {
    // 4: a report changes none that came before.
    if (request.header('sip-if-match') !== undefined)
      return { status: 412, words: 'reports are not kept here: each is published anew' };
    if (request.body.length === 0) return { status: 400, words: 'a report of voice quality needs a body' };
    if (request.contentType !== VQ_TYPE)
      return { status: 415, words: `voice quality is published as ${VQ_TYPE}`, headers: [['Accept', VQ_TYPE]] };
    const report = readVqReport(request.bodyText);
    if (!report) return { status: 400, words: 'the body is no report of voice quality (RFC 6035)' };
    const callId = report.callId ?? report.dialog?.callId;
    if (callId === undefined) return { status: 400, words: 'the report does not name its call: there is no CallID' };
    const call = this.#options.callOf(user, callId) ?? this.#endedCall(user, callId, nowMs);
    if (!call) return { status: 403, words: `${user} has no answered call of that CallID, nor had one until just now` };
    if (!this.#rates.take(keyOf(user, callId), RATE, nowMs))
      return {
        status: 503,
        words: `reports on one call are taken each ${RETRY_S} s`,
        headers: [['Retry-After', RETRY_S]],
      };
    return { report, call };
  }

  #endedCall(user: string, callId: string, nowMs: number): Reported | undefined {
    const ended = this.#ended.peek(keyOf(user, callId));
    return ended && nowMs - ended.atMs <= AFTER_MS ? ended.call : undefined;
  }
}

/** User names have no line ends. */
function keyOf(user: string, callId: string): string {
  return `${user}\n${callId}`;
}

function newsOf({ kind, alert, local, remote }: VqReport, call: Reported, user: string): QualityNews {
  const { id, from, to, users, isPrivate } = call;
  return {
    id,
    user,
    report: kind,
    ...(alert ? { alert: alert.type, severity: alert.severity } : {}),
    ...figuresOf(local),
    ...(remote && Object.keys(figuresOf(remote)).length > 0 ? { remote: figuresOf(remote) } : {}),
    ...(local.codec === undefined ? {} : { codec: local.codec }),
    from,
    to,
    users,
    isPrivate,
  };
}

function figuresOf(metrics: VqMetrics): Figures {
  const { lossPercent, discardPercent, jitterMs, roundTripMs, mosListening, mosConversational } = metrics;
  const all = { lossPercent, discardPercent, jitterMs, roundTripMs, mosListening, mosConversational };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
