import type { CallEnd } from './call-end.ts';

/** What one call looks like from the phone. */
export type CallPhase = 'calling' | 'ringing' | 'incoming' | 'active' | 'ended';

export type CallEvent =
  | { readonly kind: 'ringing' }
  /** The far side sends sound before it answers (183 with SDP): our own ringing tone must stop. */
  | { readonly kind: 'early-media' }
  | { readonly kind: 'answered' }
  | { readonly kind: 'ended'; readonly end: CallEnd }
  | { readonly kind: 'ice'; readonly state: 'connected' | 'disconnected' | 'failed' }
  /** Packets with sound come in, or have stopped coming. */
  | { readonly kind: 'sound'; readonly arriving: boolean }
  /** The socket to the server is usable again (or not): ICE can only be restarted with it. */
  | { readonly kind: 'link'; readonly up: boolean };

export type CallCommand =
  | { readonly kind: 'phase'; readonly phase: CallPhase }
  | { readonly kind: 'sound'; readonly sound: 'ring' | 'ringback' | 'busy' | 'end' | 'none' }
  | { readonly kind: 'restart-ice' }
  /** Long silence: does the server still know this call? */
  | { readonly kind: 'ask-server' }
  | { readonly kind: 'media'; readonly flowing: boolean }
  /** The media path cannot be made to work: end the call. */
  | { readonly kind: 'give-up'; readonly end: CallEnd }
  | { readonly kind: 'dismiss' };

/** `disconnected` often heals alone; after this long ICE is restarted. */
const DISCONNECTED_PATIENCE_MS = 3_000;
const RESTART_PATIENCE_MS = 10_000;
const FIRST_CONNECTION_MS = 15_000;
const MAX_RESTARTS = 3;
const DISMISS_MS = 5_000;
const SILENCE_MS = 20_000;

type TimerName = 'restart' | 'first-connection' | 'silence' | 'dismiss';

/** One call's life: phases, tones, and the recovery of its media path. Pure: drain `poll()` after every handle call. */
export class CallMachine {
  readonly #commands: CallCommand[] = [];
  readonly #deadlines = new Map<TimerName, number>();
  #phase: CallPhase;
  #restarts = 0;
  #connected = false;
  #link = true;
  #iceBroken = false;
  #answeredAtMs: number | undefined;

  constructor(direction: 'outgoing' | 'incoming') {
    this.#phase = direction === 'outgoing' ? 'calling' : 'incoming';
    this.#commands.push({ kind: 'phase', phase: this.#phase });
    if (direction === 'incoming') this.#commands.push({ kind: 'sound', sound: 'ring' });
  }

  get phase(): CallPhase {
    return this.#phase;
  }

  get answeredAtMs(): number | undefined {
    return this.#answeredAtMs;
  }

  handle(event: CallEvent, nowMs: number): void {
    if (this.#phase === 'ended') return;
    switch (event.kind) {
      case 'ringing':
        if (this.#phase !== 'calling') return;
        this.#become('ringing');
        this.#commands.push({ kind: 'sound', sound: 'ringback' });
        return;
      case 'early-media':
        if (this.#phase === 'calling') this.#become('ringing');
        if (this.#phase === 'ringing') this.#commands.push({ kind: 'sound', sound: 'none' });
        return;
      case 'answered':
        if (this.#phase === 'active') return;
        this.#answeredAtMs = nowMs;
        this.#become('active');
        this.#commands.push({ kind: 'sound', sound: 'none' });
        if (!this.#connected) this.#deadlines.set('first-connection', nowMs + FIRST_CONNECTION_MS);
        return;
      case 'ended': {
        const busy = event.end.by === 'remote' && this.#phase !== 'active' && this.#phase !== 'incoming';
        const sound = busy ? 'busy' : this.#phase === 'active' ? 'end' : 'none';
        this.#deadlines.clear();
        this.#become('ended');
        this.#commands.push({ kind: 'sound', sound });
        this.#deadlines.set('dismiss', nowMs + DISMISS_MS);
        return;
      }
      case 'ice':
        this.#handleIce(event.state, nowMs);
        return;
      case 'sound':
        if (event.arriving) this.#deadlines.delete('silence');
        else if (this.#phase === 'active' && !this.#deadlines.has('silence'))
          this.#deadlines.set('silence', nowMs + SILENCE_MS);
        return;
      case 'link':
        this.#link = event.up;
        if (event.up && this.#iceBroken && !this.#deadlines.has('restart')) this.#restart(nowMs);
        return;
      default:
        event satisfies never;
    }
  }

  handleTimeout(nowMs: number): void {
    for (const [name, at] of [...this.#deadlines]) {
      if (at > nowMs || this.#deadlines.get(name) !== at) continue;
      this.#deadlines.delete(name);
      switch (name) {
        case 'restart':
          this.#restart(nowMs);
          break;
        case 'first-connection':
          if (!this.#connected) this.#giveUp('media-never');
          break;
        case 'silence':
          this.#deadlines.set('silence', nowMs + SILENCE_MS);
          if (this.#link) this.#commands.push({ kind: 'ask-server' });
          break;
        case 'dismiss':
          this.#commands.push({ kind: 'dismiss' });
          break;
        default:
          name satisfies never;
      }
    }
  }

  nextTimeout(): number | undefined {
    return this.#deadlines.size ? Math.min(...this.#deadlines.values()) : undefined;
  }

  poll(): CallCommand | undefined {
    return this.#commands.shift();
  }

  #handleIce(state: 'connected' | 'disconnected' | 'failed', nowMs: number): void {
    switch (state) {
      case 'connected':
        this.#connected = true;
        this.#restarts = 0;
        this.#deadlines.delete('restart');
        this.#deadlines.delete('first-connection');
        this.#setBroken(false);
        return;
      case 'disconnected':
        this.#setBroken(true);
        if (!this.#deadlines.has('restart')) this.#deadlines.set('restart', nowMs + DISCONNECTED_PATIENCE_MS);
        return;
      case 'failed':
        this.#setBroken(true);
        if (this.#phase === 'active') this.#restart(nowMs);
        return;
      default:
        state satisfies never;
    }
  }

  #setBroken(broken: boolean): void {
    if (broken === this.#iceBroken) return;
    this.#iceBroken = broken;
    if (this.#phase === 'active') this.#commands.push({ kind: 'media', flowing: !broken });
  }

  #restart(nowMs: number): void {
    if (!this.#iceBroken || this.#phase !== 'active') return;
    this.#deadlines.delete('restart');
    if (!this.#link) return; // without the server no restart can be negotiated: 'link' up comes back here
    if (this.#restarts >= MAX_RESTARTS) {
      this.#giveUp(this.#connected ? 'media-lost' : 'media-never');
      return;
    }
    this.#restarts++;
    this.#commands.push({ kind: 'restart-ice' });
    this.#deadlines.set('restart', nowMs + RESTART_PATIENCE_MS);
  }

  #giveUp(cause: 'media-lost' | 'media-never'): void {
    this.#commands.push({ kind: 'give-up', end: { by: 'local', cause } });
  }

  #become(phase: CallPhase): void {
    this.#phase = phase;
    this.#commands.push({ kind: 'phase', phase });
  }
}
