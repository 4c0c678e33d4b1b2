import { socketKey } from '@offhook/core';
import { timeLeft } from '@offhook/core/node';
import type { TlsFacts } from './connect.ts';
import { firstOf } from './connect.ts';
import { namesInWords } from './identity.ts';
import { type EchoLink, type LinkEvents, openStreamLink, openUdpLink, openWebSocketLink, otherWords } from './link.ts';
import { messageText, numberOf, shownText } from './payload.ts';
import { EchoTally, inMs, type TallyReport } from './tally.ts';
import type { EchoTarget } from './url.ts';
import { EchoTrouble, openTrouble, type SystemError, silenceWords, type Trust } from './words.ts';

export interface EchoOptions {
  readonly target: EchoTarget;
  readonly count: number;
  readonly intervalMs: number;
  /** Of each message, in bytes; undefined: as long as the greeting is. */
  readonly size: number | undefined;
  /** For each step of connecting, and for what is due after the last message. */
  readonly timeoutMs: number;
  readonly trust: Trust;
  /** Ends early; what was sent is counted. */
  readonly signal: AbortSignal;
  /** Each line as it comes. */
  readonly say: (line: string) => void;
}

export interface EchoResult extends TallyReport {
  /** Address and port that were talked to; undefined: nobody was reached. */
  readonly at: string | undefined;
  readonly connectMs: number | undefined;
  readonly tls: TlsFacts | undefined;
  /** Why something was lost, or nobody reached. */
  readonly troubles: readonly string[];
}

/** Doubles of the last datagram come a moment after it. */
const LINGER_MS = 50;
/** Different troubles that are told. */
const MAX_TROUBLES = 5;
const RETRY_MS = 5;

/** Nobody at that address's port: the next address may have it. */
class Refused extends EchoTrouble {}

/** Sends messages to an echo and counts what comes back. Never throws for what the network does. */
export async function runEcho(options: EchoOptions): Promise<EchoResult> {
  const { target } = options;
  try {
    if (target.scheme === 'udp') return await firstOf(target, (at) => new EchoRun(options).over(at));
    return await new EchoRun(options).over();
  } catch (error) {
    if (!(error instanceof EchoTrouble)) throw error;
    const troubles = options.signal.aborted ? ['stopped before anything was sent'] : [error.message];
    return { ...new EchoTally().report(), at: undefined, connectMs: undefined, tls: undefined, troubles };
  }
}

class EchoRun implements LinkEvents {
  readonly #options: EchoOptions;
  readonly #tally = new EchoTally();
  readonly #troubles = new Set<string>();
  #link: EchoLink | undefined;
  #next = 1;
  #timer: NodeJS.Timeout | undefined;
  #end: ((refused?: EchoTrouble) => void) | undefined;

  constructor(options: EchoOptions) {
    this.#options = options;
  }

  async over(at?: EchoLink['at']): Promise<EchoResult> {
    const { target, signal, timeoutMs } = this.#options;
    const open = target.scheme === 'ws' || target.scheme === 'wss' ? openWebSocketLink : openStreamLink;
    const link = at ? await openUdpLink(target, at, this.#options, this) : await open(target, this.#options, this);
    this.#link = link;
    this.#sayOpened(link);
    const stop = () => this.#stop();
    signal.addEventListener('abort', stop);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#end = (refused) => (refused ? reject(refused) : resolve());
        if (signal.aborted) this.#stop();
        else this.#send(performance.now());
      });
    } finally {
      this.#end = undefined;
      clearTimeout(this.#timer);
      signal.removeEventListener('abort', stop);
      link.close();
    }
    const report = this.#tally.report();
    if (report.lost > 0 && this.#troubles.size === 0) {
      const silence = silenceWords(target.scheme, socketKey(link.at), report.received, timeoutMs);
      if (silence !== undefined) this.#troubles.add(silence);
    }
    return {
      ...report,
      at: socketKey(link.at),
      connectMs: link.connectMs,
      tls: link.tls,
      troubles: [...this.#troubles],
    };
  }

  onEcho(text: string): void {
    if (!this.#end) return;
    const { size, say } = this.#options;
    const n = numberOf(text, size);
    const arrival = n === undefined ? { kind: 'foreign' as const } : this.#tally.handleEcho(n, performance.now());
    if (arrival.kind === 'foreign') this.onOther(otherWords(Buffer.from(text, 'latin1')));
    else if (arrival.kind === 'again') say(`${shownText(text)}  once more`);
    else say(`${shownText(text)}  ${inMs(arrival.rttMs)} ms${arrival.isReordered ? ', overtaken by a later one' : ''}`);
    this.#finishIfComplete();
  }

  onOther(words: string): void {
    if (this.#end) this.#trouble(words);
  }

  onEnd(words: string): void {
    if (!this.#end) return;
    this.#trouble(words);
    this.#end();
  }

  onRefused(error: SystemError): void {
    if (!this.#end || !this.#link) return;
    const { target, timeoutMs } = this.#options;
    const words = openTrouble(target.scheme, socketKey(this.#link.at), error, timeoutMs);
    if (this.#tally.received === 0) this.#end(new Refused(words));
    else this.#trouble(words);
  }

  #trouble(words: string): void {
    if (this.#troubles.size < MAX_TROUBLES) this.#troubles.add(words);
  }

  #send(dueMs: number): void {
    const { count, intervalMs, size, timeoutMs } = this.#options;
    const link = this.#link!;
    const nowMs = performance.now();
    if (link.isBusy) {
      this.#timer = setTimeout(() => this.#send(nowMs), RETRY_MS);
      return;
    }
    const n = this.#next++;
    this.#tally.handleSent(n, nowMs);
    link.send(messageText(n, size));
    if (n < count) {
      // By the clock, not one after the other, so that timers' lateness does not add up.
      const nextMs = Math.max(dueMs + intervalMs, nowMs);
      this.#timer = setTimeout(() => this.#send(nextMs), nextMs - nowMs);
    } else this.#timer = setTimeout(() => this.#end?.(), timeoutMs);
  }

  #finishIfComplete(): void {
    const { count, target } = this.#options;
    if (this.#next <= count || !this.#tally.isComplete) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end?.(), target.scheme === 'udp' ? LINGER_MS : 0);
  }

  /** What was sent a moment ago is neither lost nor there. */
  #stop(): void {
    for (const n of this.#tally.pendingSince(performance.now() - this.#options.timeoutMs)) this.#tally.handleUnsent(n);
    this.#end?.();
  }

  #sayOpened({ at, connectMs, tls }: EchoLink): void {
    const { say, target } = this.#options;
    const how = tls ? `, ${tls.protocol}` : '';
    if (connectMs === undefined) say(`to ${socketKey(at)} over UDP`);
    else
      say(
        `connected to ${socketKey(at)} in ${inMs(connectMs)} ms${how}${target.scheme.startsWith('ws') ? ', WebSocket' : ''}`,
      );
    if (tls) say(`certificate ${namesInWords(tls.names)}, signed by ${tls.signedBy}, ${timeLeft(tls, Date.now())}`);
    if (tls?.distrust !== undefined) say(`NOT TRUSTED${tls.distrust}; going on, because of --insecure`);
  }
}
