import { Worker } from 'node:worker_threads';
import type { CdrQuery } from './cdr-query.ts';
import type { CdrPage } from './cdr-search.ts';
import type { Entry, JournalReply, JournalRequest } from './journal-schema.ts';
import { StoreError } from './store.ts';

/** What is noted is on its way to the disk within this time; so much a `kill -9` may lose. */
const BATCH_MS = 20;
/** Entries that wait while the disk is full or slow; the oldest are given up beyond it. */
const MAX_WAITING = 50_000;
const AGAIN_MS = 1000;
/** Searches that may run or wait at once. */
const MAX_SEARCHES = 16;

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/**
 * What a process that follows this one needs: answered calls, contacts, and the records of ended calls. Noting costs an
 * array entry; batches are written by a thread of its own. A failed batch is tried again as a whole, in order.
 */
export class Journal {
  readonly counters = { written: 0, failed: 0, dropped: 0 };
  /** Told of each failure, in words. */
  onError: ((words: string) => void) | undefined;
  readonly #worker: Worker;
  readonly #replies = new Map<number, (reply: JournalReply) => void>();
  readonly #promised = new Map<Entry, (isWritten: boolean) => void>();
  #waiting: Entry[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #searches = 0;
  #nextId = 1;
  #closed = false;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (reply: JournalReply) => {
      this.#replies.get(reply.id)?.(reply);
      this.#replies.delete(reply.id);
    });
    worker.on('error', (error) => {
      this.onError?.(`the journal's thread ended: ${error.message}`);
      for (const [id, settle] of this.#replies) settle({ id, error: error.message });
      this.#replies.clear();
    });
  }

  /** @param path the SQLite file, shared with the accounts */
  static async open(path: string): Promise<Journal> {
    const worker = new Worker(new URL('./journal-worker.ts', import.meta.url), { workerData: { path } });
    await new Promise<void>((resolve, reject) => {
      worker.once('online', resolve);
      worker.once('error', reject);
    });
    worker.removeAllListeners('error');
    return new Journal(worker);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  note(entry: Entry): void {
    if (this.#closed) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#settle([this.#waiting.shift()!], false);
      this.counters.dropped++;
    }
    this.#waiting.push(entry);
    this.#arm(BATCH_MS);
  }

  /** Notes what somebody is promised: whether it has been written. What could not be at once may still be, later. */
  noteSurely(entry: Entry): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#promised.set(entry, resolve);
      this.note(entry);
    });
  }

  async calls(): Promise<string[]> {
    return (await this.#ask({ kind: 'calls' })) as string[];
  }

  async bindings(): Promise<string[]> {
    return (await this.#ask({ kind: 'bindings' })) as string[];
  }

  /** The messages that are kept, in the order they came. */
  async messages(): Promise<string[]> {
    return (await this.#ask({ kind: 'messages' })) as string[];
  }

  async subscriptions(): Promise<string[]> {
    return (await this.#ask({ kind: 'subscriptions' })) as string[];
  }

  /** Records of ended calls, the newest first; rejects with a StoreError when too many want to know. */
  async cdrs(query: CdrQuery): Promise<CdrPage> {
    if (this.#searches >= MAX_SEARCHES)
      throw new StoreError('too many searches are running: try again in a few seconds');
    this.#searches++;
    try {
      await this.flush();
      return (await this.#ask({ kind: 'cdrs', query })) as CdrPage;
    } finally {
      this.#searches--;
    }
  }

  /** Writes what is waiting; resolves when it is written, or could not be. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#waiting.length > 0) await this.#write();
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#worker.terminate();
  }

  #arm(inMs: number): void {
    if (this.#timer || this.#writing || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, inMs);
  }

  async #write(): Promise<void> {
    const entries = this.#waiting;
    this.#waiting = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let again = BATCH_MS;
    this.#writing = this.#ask({ kind: 'write', entries }).then(
      () => {
        this.counters.written += entries.length;
        this.#settle(entries, true);
      },
      (error: Error) => {
        this.counters.failed++;
        this.onError?.(`what has to be remembered could not be written: ${error.message}`);
        this.#waiting = [...entries, ...this.#waiting].slice(-MAX_WAITING);
        this.#settle(entries, false);
        again = AGAIN_MS;
      },
    );
    await this.#writing;
    this.#writing = undefined;
    if (this.#waiting.length > 0) this.#arm(again);
  }

  #settle(entries: readonly Entry[], isWritten: boolean): void {
    if (this.#promised.size === 0) return;
    for (const entry of entries) {
      this.#promised.get(entry)?.(isWritten);
      this.#promised.delete(entry);
    }
  }

  #ask(request: WithoutId<JournalRequest>): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#replies.set(id, (reply) => ('error' in reply ? reject(new Error(reply.error)) : resolve(reply.ok)));
      this.#worker.postMessage({ ...request, id });
    });
  }
}
