import { backoffMs } from './backoff.ts';

/** Why there is no connection at the moment. */
export type LinkCause = 'lost' | 'unreachable' | 'refused' | 'busy';

/** The phone's standing with its server: everything the registration indicator shows. */
export type LinkState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'registering' }
  | { readonly kind: 'registered' }
  | { readonly kind: 'reconnecting'; readonly cause: LinkCause; readonly retryAtMs: number; readonly attempt: number }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  | { readonly kind: 'expired' };

export type LinkCommand =
  | { readonly kind: 'connect' }
  | { readonly kind: 'disconnect' }
  | { readonly kind: 'register' }
  | { readonly kind: 'ping'; readonly method: 'crlf' | 'options' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'state'; readonly state: LinkState };

/** What an HTTP request with the session says when the WebSocket failed: browsers hide the upgrade's status. */
export type ProbeResult = 'ok' | 'expired' | 'unreachable';

const CONNECT_TIMEOUT_MS = 10_000;
const REGISTER_TIMEOUT_MS = 8_000;
const PING_INTERVAL_MS = 20_000;
const PONG_TIMEOUT_MS = 5_000;
const PING_NUDGE_MS = 0;
const REFRESH_SHARE = 0.8;

type TimerName = 'connect' | 'reconnect' | 'register' | 'refresh' | 'ping' | 'pong';

/**
 * Keeps one registered WebSocket: connect, register, refresh, ping, notice a dead socket, come back with backoff.
 * Calls are not its business and outlive any number of sockets. Pure: drain `poll()` after every handle call.
 */
export class LinkMachine {
  readonly #random: () => number;
  readonly #commands: LinkCommand[] = [];
  readonly #deadlines = new Map<TimerName, number>();
  #state: LinkState = { kind: 'stopped' };
  #open = false;
  #attempt = 0;
  #lostAtMs = 0;
  #everOpen = false;
  #pinging: 'crlf' | 'options' | undefined;
  #answersCrlf = true;

  constructor(random: () => number) {
    this.#random = random;
  }

  get state(): LinkState {
    return this.#state;
  }

  handleStart(nowMs: number): void {
    if (this.#state.kind !== 'stopped' && this.#state.kind !== 'expired' && this.#state.kind !== 'refused') return;
    this.#attempt = 0;
    this.#lostAtMs = nowMs;
    this.#everOpen = false;
    this.#connect(nowMs);
  }

  handleStop(): void {
    this.#deadlines.clear();
    this.#pinging = undefined;
    if (this.#state.kind === 'stopped') return;
    this.#open = false;
    this.#commands.push({ kind: 'disconnect' });
    this.#become({ kind: 'stopped' });
  }

  handleOpen(nowMs: number): void {
    if (this.#state.kind !== 'connecting' && this.#state.kind !== 'reconnecting') return;
    this.#open = true;
    this.#everOpen = true;
    this.#deadlines.clear();
    this.#register(nowMs);
    this.#become({ kind: 'registering' });
  }

  /** The socket closed, or never opened. */
  handleClosed(nowMs: number): void {
    const wasOpen = this.#open;
    this.#open = false;
    this.#pinging = undefined;
    switch (this.#state.kind) {
      case 'stopped':
      case 'expired':
      case 'refused':
        return;
      case 'connecting':
      case 'registering':
      case 'registered':
      case 'reconnecting':
        this.#deadlines.clear();
        if (wasOpen) {
          this.#attempt = 0;
          this.#lostAtMs = nowMs;
        } else this.#commands.push({ kind: 'probe' });
        this.#retry(nowMs, this.#everOpen ? 'lost' : 'unreachable');
        return;
      default:
        this.#state satisfies never;
    }
  }

  /** Any bytes from the server prove that the socket lives. */
  handleReceived(nowMs: number): void {
    if (!this.#open) return;
    this.#pinging = undefined;
    this.#deadlines.delete('pong');
    this.#deadlines.set('ping', nowMs + PING_INTERVAL_MS);
  }

  handleRegistered(nowMs: number, expiresS: number): void {
    if (!this.#open) return;
    this.#attempt = 0;
    this.#deadlines.delete('register');
    this.#deadlines.set('refresh', nowMs + expiresS * 1000 * REFRESH_SHARE);
    this.#become({ kind: 'registered' });
  }

  handleRegisterFailed(nowMs: number, failure: { status: number; reason: string; retryAfterS?: number }): void {
    if (!this.#open) return;
    this.#deadlines.delete('register');
    const { status, reason, retryAfterS } = failure;
    if (status === 401 || status === 403 || status === 407) {
      this.#become({ kind: 'refused', status, reason });
      this.#commands.push({ kind: 'probe' });
      return;
    }
    if (status >= 500 || status === 408) {
      const wait = retryAfterS !== undefined ? Math.min(retryAfterS, 60) * 1000 : this.#nextDelay(nowMs);
      this.#deadlines.set('refresh', nowMs + wait);
      this.#become({ kind: 'reconnecting', cause: 'busy', retryAtMs: nowMs + wait, attempt: this.#attempt });
      return;
    }
    this.#become({ kind: 'refused', status, reason });
  }

  handleProbe(nowMs: number, result: ProbeResult): void {
    if (result === 'expired' && this.#state.kind !== 'stopped') {
      this.#deadlines.clear();
      if (this.#open) this.#commands.push({ kind: 'disconnect' });
      this.#open = false;
      this.#become({ kind: 'expired' });
      return;
    }
    if (this.#state.kind !== 'reconnecting') return;
    const cause: LinkCause = result === 'ok' ? 'refused' : this.#everOpen ? 'lost' : 'unreachable';
    if (cause !== this.#state.cause) this.#become({ ...this.#state, cause });
    void nowMs;
  }

  /** Network back, tab visible again, computer woke up: try or test the connection now. */
  handleNudge(nowMs: number): void {
    if (this.#state.kind === 'reconnecting' && !this.#open) {
      this.#attempt = 0;
      this.#lostAtMs = nowMs;
      this.#connect(nowMs);
    } else if (this.#open && this.#pinging === undefined) this.#deadlines.set('ping', nowMs + PING_NUDGE_MS);
  }

  handleTimeout(nowMs: number): void {
    for (const [name, at] of [...this.#deadlines]) {
      if (at > nowMs || this.#deadlines.get(name) !== at) continue;
      this.#deadlines.delete(name);
      switch (name) {
        case 'connect':
        case 'register':
          this.#commands.push({ kind: 'disconnect' });
          this.handleClosed(nowMs);
          break;
        case 'reconnect':
          this.#connect(nowMs);
          break;
        case 'refresh':
          this.#register(nowMs);
          break;
        case 'ping':
          this.#ping(nowMs, this.#answersCrlf ? 'crlf' : 'options');
          break;
        case 'pong':
          // A server need not answer a bare CRLF over WebSocket; every SIP server answers OPTIONS with something.
          if (this.#pinging === 'crlf') {
            this.#answersCrlf = false;
            this.#ping(nowMs, 'options');
          } else {
            this.#commands.push({ kind: 'disconnect' });
            this.handleClosed(nowMs);
          }
          break;
        default:
          name satisfies never;
      }
    }
  }

  nextTimeout(): number | undefined {
    let next: number | undefined;
    for (const at of this.#deadlines.values()) if (next === undefined || at < next) next = at;
    return next;
  }

  poll(): LinkCommand | undefined {
    return this.#commands.shift();
  }

  #connect(nowMs: number): void {
    this.#deadlines.clear();
    this.#deadlines.set('connect', nowMs + CONNECT_TIMEOUT_MS);
    this.#commands.push({ kind: 'connect' });
    if (!this.#everOpen && this.#state.kind !== 'reconnecting') this.#become({ kind: 'connecting' });
  }

  #register(nowMs: number): void {
    this.#deadlines.set('register', nowMs + REGISTER_TIMEOUT_MS);
    this.#commands.push({ kind: 'register' });
  }

  #ping(nowMs: number, method: 'crlf' | 'options'): void {
    this.#pinging = method;
    this.#deadlines.set('pong', nowMs + PONG_TIMEOUT_MS);
    this.#commands.push({ kind: 'ping', method });
  }

  #nextDelay(nowMs: number): number {
    return backoffMs(this.#attempt++, nowMs - this.#lostAtMs, this.#random);
  }

  #retry(nowMs: number, cause: LinkCause): void {
    const retryAtMs = nowMs + this.#nextDelay(nowMs);
    this.#deadlines.set('reconnect', retryAtMs);
    const known = this.#state.kind === 'reconnecting' && cause !== 'lost' ? this.#state.cause : cause;
    this.#become({ kind: 'reconnecting', cause: known, retryAtMs, attempt: this.#attempt });
  }

  #become(state: LinkState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#commands.push({ kind: 'state', state });
  }
}
