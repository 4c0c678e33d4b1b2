import { backoffMs } from '../ua/backoff.ts';
import { EventLines } from './event-lines.ts';
import { readServerEvent, type ServerEvent } from './server-event.ts';

/** The server gives a sign of life each 15 s. */
const SILENCE_MS = 40_000;
/** A feed that lasted so long was no failed attempt. */
const LASTING_MS = 20_000;

export interface EventFeedOptions {
  readonly fetch: (path: string, init: RequestInit) => Promise<Response>;
  readonly session: () => string | undefined;
  /** Where to go on, for a feed that has not run yet. */
  readonly lastId: () => string | undefined;
  readonly event: (event: ServerEvent, id: string) => void;
  /** Whether what happens is told at present. */
  readonly live: (isLive: boolean) => void;
  readonly now: () => number;
  readonly random: () => number;
  readonly after: (ms: number, callback: () => void) => () => void;
}

/**
 * What the server tells as it happens (`GET /api/events`), read for as long as it is wanted. It takes one of the few
 * connections that a browser allows to one server, so a page that nobody looks at lets go of it, and goes on later where
 * it stopped. By fetch, for EventSource sends no token.
 */
export class EventFeed {
  readonly #options: EventFeedOptions;
  #lastId: string | undefined;
  #abort: AbortController | undefined;
  #cancelRetry = (): void => {};
  #attempt = 0;
  #lostAtMs = 0;

  constructor(options: EventFeedOptions) {
    this.#options = options;
  }

  want(isWanted: boolean): void {
    if (isWanted === (this.#abort !== undefined)) return;
    if (isWanted) {
      this.#attempt = 0;
      this.#lostAtMs = this.#options.now();
      void this.#read();
    } else this.#stop();
  }

  /** Another account: nothing to go on from. */
  reset(): void {
    this.#stop();
    this.#lastId = undefined;
  }

  #stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
    this.#cancelRetry();
    this.#options.live(false);
  }

  async #read(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const { live, after, now, random } = this.#options;
    const startedAtMs = now();
    const ended = await this.#follow(abort).catch(() => 'lost' as const);
    if (this.#abort !== abort) return;
    abort.abort();
    live(false);
    if (ended === 'refused') return; // an older server, or a session that has ended: asked again when wanted anew
    if (now() - startedAtMs >= LASTING_MS) {
      this.#attempt = 0;
      this.#lostAtMs = now();
    }
    const delay = backoffMs(this.#attempt++, now() - this.#lostAtMs, random);
    this.#cancelRetry = after(delay, () => void this.#read());
  }

  async #follow(abort: AbortController): Promise<'lost' | 'refused'> {
    const { fetch, session, lastId, event, live, after } = this.#options;
    const token = session();
    if (token === undefined) return 'refused';
    const goOn = this.#lastId ?? lastId();
    let cancelSilence = after(SILENCE_MS, () => abort.abort());
    try {
      const response = await fetch('/api/events', {
        cache: 'no-store',
        headers: {
          accept: 'text/event-stream',
          authorization: `Bearer ${token}`,
          ...(goOn === undefined ? {} : { 'last-event-id': goOn }),
        },
        signal: abort.signal,
      });
      if (!response.ok || !response.body) {
        void response.body?.cancel().catch(() => {});
        return [401, 403, 404].includes(response.status) ? 'refused' : 'lost';
      }
      const lines = new EventLines();
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      live(true);
      for (;;) {
        const { done, value } = await reader.read();
        if (done || abort.signal.aborted) return 'lost';
        cancelSilence();
        cancelSilence = after(SILENCE_MS, () => abort.abort());
        const events = lines.handleText(decoder.decode(value, { stream: true }));
        if (!events) return 'lost';
        for (const { name, data, id } of events) {
          if (id) this.#lastId = id;
          const told = readServerEvent(name, data);
          if (told) event(told, id);
        }
      }
    } finally {
      cancelSilence();
    }
  }
}
