/** How a sender can be asked for a key frame: RFC 4585 6.3.1, RFC 5104 4.3.1, and SIP INFO with media_control (RFC 5168). */
export type KeyFrameMeans = 'pli' | 'fir' | 'info';

/** One request to a sender. */
export interface KeyFrameRequest {
  /** The sender's media source. */
  readonly ssrc: number;
  readonly means: KeyFrameMeans;
  /** Of FIR: its command number, which rises by one with each request (RFC 5104 4.3.1.2). */
  readonly command: number;
}

/** What a sender said it understands, in its a=rtcp-fb lines. */
export interface KeyFrameSupport {
  readonly pli: boolean;
  readonly fir: boolean;
  /** It is a SIP phone that takes INFO. */
  readonly info: boolean;
}

/** One request a second at most, as mediasoup; LiveKit has 0.5–1 s. INFO goes through signalling, so it is rarer. */
const INTERVAL_MS = 1000;
const INFO_INTERVAL_MS = 3000;
/** Sources of one sender: simulcast layers and screens; beyond them the one that asked the longest ago is forgotten. */
const MAX_SOURCES = 16;

/**
 * Requests for key frames on their way to one sender, which may come from any number of receivers and in any form: at most one
 * per source in an interval, in the form the sender understands. One that came too soon isn't lost: it goes out when the interval
 * is over, unless a key frame was seen meanwhile.
 */
export class KeyFrameRequests {
  readonly #means: KeyFrameMeans | undefined;
  readonly #intervalMs: number;
  readonly #ssrc = new Uint32Array(MAX_SOURCES);
  readonly #usedAtMs = new Float64Array(MAX_SOURCES).fill(Number.NEGATIVE_INFINITY);
  readonly #nextAtMs = new Float64Array(MAX_SOURCES).fill(Number.NEGATIVE_INFINITY);
  readonly #command = new Uint8Array(MAX_SOURCES);
  /** 0 = nothing, 1 = wanted when the interval is over, 2 = to be sent now. */
  readonly #state = new Uint8Array(MAX_SOURCES);
  #count = 0;
  readonly #request: { ssrc: number; means: KeyFrameMeans; command: number } = { ssrc: 0, means: 'pli', command: 0 };
  /** Requests that came, and those that went on. */
  asked = 0;
  sent = 0;

  constructor(support: KeyFrameSupport) {
    this.#means = support.pli ? 'pli' : support.fir ? 'fir' : support.info ? 'info' : undefined;
    this.#intervalMs = this.#means === 'info' ? INFO_INTERVAL_MS : INTERVAL_MS;
  }

  /** How this sender is asked; undefined = it can't be. */
  get means(): KeyFrameMeans | undefined {
    return this.#means;
  }

  /** A receiver sent PLI or FIR about that source, or a gap in it is beyond hope. */
  handleRequest(ssrc: number, nowMs: number): void {
    this.asked++;
    if (this.#means === undefined) return;
    const source = this.#source(ssrc);
    this.#usedAtMs[source] = nowMs;
    if (nowMs >= this.#nextAtMs[source]!) this.#send(source, nowMs);
    else if (this.#state[source] === 0) this.#state[source] = 1;
  }

  /** A key frame of that source came: what was asked for before it is answered. */
  handleKeyFrame(ssrc: number): void {
    const source = this.#find(ssrc);
    if (source >= 0) this.#state[source] = 0;
  }

  handleTimeout(nowMs: number): void {
    for (let i = 0; i < this.#count; i++) {
      if (this.#state[i] === 1 && nowMs >= this.#nextAtMs[i]!) this.#send(i, nowMs);
    }
  }

  /** Whether `poll` has something, after `handleTimeout`. */
  isDue(nowMs: number): boolean {
    for (let i = 0; i < this.#count; i++) {
      if (this.#state[i] === 2 || (this.#state[i] === 1 && nowMs >= this.#nextAtMs[i]!)) return true;
    }
    return false;
  }

  nextTimeout(): number | undefined {
    let at = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) if (this.#state[i] === 1) at = Math.min(at, this.#nextAtMs[i]!);
    return at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  /** What to send now. The record is reused: read it before the next call. */
  poll(): KeyFrameRequest | undefined {
    for (let i = 0; i < this.#count; i++) {
      if (this.#state[i] !== 2) continue;
      this.#state[i] = 0;
      this.#request.ssrc = this.#ssrc[i]!;
      this.#request.means = this.#means!;
      this.#request.command = this.#command[i]!++;
      this.sent++;
      return this.#request;
    }
    return undefined;
  }

  #send(source: number, nowMs: number): void {
    this.#state[source] = 2;
    this.#nextAtMs[source] = nowMs + this.#intervalMs;
  }

  #find(ssrc: number): number {
    for (let i = 0; i < this.#count; i++) if (this.#ssrc[i] === ssrc) return i;
    return -1;
  }

  #source(ssrc: number): number {
    let source = this.#find(ssrc);
    if (source >= 0) return source;
    if (this.#count < MAX_SOURCES) source = this.#count++;
    else {
      source = 0;
      for (let i = 1; i < MAX_SOURCES; i++) if (this.#usedAtMs[i]! < this.#usedAtMs[source]!) source = i;
    }
    this.#ssrc[source] = ssrc;
    // `#nextAtMs` stays: however many sources are named, each place asks once an interval.
    this.#state[source] = 0;
    return source;
  }
}
