import type { TextOutcome } from '../ua/signaling.ts';
import type { TextState } from './conversation.ts';

export interface QueuedText {
  readonly id: string;
  readonly peer: string;
  readonly text: string;
}

export type OutboxCommand =
  | { readonly kind: 'send'; readonly queued: QueuedText }
  | {
      readonly kind: 'state';
      readonly queued: QueuedText;
      readonly state: Exclude<TextState, 'received' | 'expired'>;
      readonly reason?: string;
    };

/** A text whose connection breaks each time it is sent may be what breaks it. */
const MOST_LOSSES = 3;
const MOST_QUEUED = 500;

interface Lane {
  readonly queued: QueuedText[];
  /** The first of the queue is on its way. */
  onItsWay: boolean;
  losses: number;
}

/**
 * Texts on their way out: one at a time to each person, in the order they were typed, while the phone is registered. One
 * whose connection went before its answer is sent again as the same message. Pure: drain `poll()` after every handle call.
 */
export class Outbox {
  readonly #lanes = new Map<string, Lane>();
  readonly #commands: OutboxCommand[] = [];
  #isUp = false;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  handleText(queued: QueuedText): void {
    const lane = this.#lanes.get(queued.peer) ?? { queued: [], onItsWay: false, losses: 0 };
    if (lane.queued.some(({ id }) => id === queued.id)) return;
    if (this.#size >= MOST_QUEUED) {
      this.#commands.push({ kind: 'state', queued, state: 'failed', reason: 'too many messages wait here already' });
      return;
    }
    this.#lanes.set(queued.peer, lane);
    lane.queued.push(queued);
    this.#size++;
    this.#commands.push({ kind: 'state', queued, state: 'waiting' });
    this.#next(lane);
  }

  /** Registered or not. */
  handleLink(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    for (const lane of this.#lanes.values()) this.#next(lane);
  }

  handleOutcome({ peer, id }: QueuedText, outcome: TextOutcome): void {
    const lane = this.#lanes.get(peer);
    const queued = lane?.queued[0];
    if (!lane?.onItsWay || queued?.id !== id) return;
    lane.onItsWay = false;
    if (outcome.kind === 'connection-lost' && ++lane.losses < MOST_LOSSES) {
      this.#commands.push({ kind: 'state', queued, state: 'waiting' });
      this.#next(lane);
      return;
    }
    lane.losses = 0;
    lane.queued.shift();
    this.#size--;
    if (lane.queued.length === 0) this.#lanes.delete(peer);
    const reason = 'reason' in outcome && outcome.reason !== undefined ? { reason: outcome.reason } : {};
    switch (outcome.kind) {
      case 'delivered':
      case 'stored':
        this.#commands.push({ kind: 'state', queued, state: outcome.kind });
        break;
      case 'connection-lost':
      case 'unanswered':
        this.#commands.push({ kind: 'state', queued, state: 'unanswered', ...reason });
        break;
      case 'refused':
        this.#commands.push({
          kind: 'state',
          queued,
          state: 'failed',
          reason: outcome.reason ?? refusalWords(outcome.status),
        });
        break;
      default:
        outcome satisfies never;
    }
    this.#next(lane);
  }

  /** Signed out: nothing is sent any more. */
  handleStop(): void {
    this.#lanes.clear();
    this.#commands.length = 0;
    this.#size = 0;
    this.#isUp = false;
  }

  poll(): OutboxCommand | undefined {
    return this.#commands.shift();
  }

  #next(lane: Lane): void {
    const queued = lane.queued[0];
    if (!queued || lane.onItsWay || !this.#isUp) return;
    lane.onItsWay = true;
    this.#commands.push({ kind: 'state', queued, state: 'sending' }, { kind: 'send', queued });
  }
}

/** For a server that gives no words of its own. */
function refusalWords(status: number): string {
  switch (status) {
    case 403:
      return 'the server does not allow it';
    case 404:
    case 604:
      return 'nobody has this name or number';
    case 413:
    case 513:
      return 'the message is too long';
    case 415:
    case 488:
      return 'the other side takes no text';
    case 480:
      return 'the other side cannot be reached';
    case 484:
      return 'that is not an address';
    case 405:
    case 501:
      return 'this server does not pass messages on';
    case 429:
    case 503:
      return 'the server is busy; try again in a moment';
    case 486:
    case 600:
    case 603:
      return 'the other side declined it';
    default:
      return `the server answered ${status}`;
  }
}
