import { Worker } from 'node:worker_threads';
import { TurnWorker, type WorkerSettings } from './turn-worker.ts';

/** What a worker can be asked: its own methods. */
export type WorkerVerb = Exclude<keyof TurnWorker, never>;

export interface WorkerQuestion {
  readonly id: number;
  readonly verb: WorkerVerb;
  readonly argument: unknown;
}

/** The answer to a question; to number 0 when the worker serves, or can't. */
export interface WorkerAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** What a thread is started with. */
export interface ThreadData {
  readonly settings: WorkerSettings;
  /** Notes which descriptors it has open. */
  readonly descriptors: SharedArrayBuffer;
}

/** A worker of this or of another thread. */
export interface WorkerHost {
  /** Resolves when it serves; rejects, once it has ended, when it can't. */
  readonly ready: Promise<void>;
  /** It has ended, told to or not. */
  readonly isGone: boolean;
  /** Ends it at once, as a crash would; only a thread can be. */
  kill(): Promise<void>;
  /** What is asked of a worker that does not serve yet is answered in the order in which it was asked, before any client is. */
  ask<V extends WorkerVerb>(verb: V, argument?: Parameters<TurnWorker[V]>[0]): Promise<ReturnType<TurnWorker[V]>>;
}

/** The only worker lives in the thread of the process. */
export async function hostHere(settings: WorkerSettings): Promise<WorkerHost> {
  const worker = await TurnWorker.open(settings);
  return {
    ready: Promise.resolve(),
    isGone: false,
    kill: () => Promise.reject(new Error('the only worker is the process itself')),
    ask: async (verb, argument) =>
      (worker[verb] as (argument: unknown) => unknown)(argument) as ReturnType<TurnWorker[typeof verb]>,
  };
}

/** A worker in a thread of its own. `onGone`: it has ended without being told to, after it had served. */
export function hostInThread(workerData: ThreadData, onGone: (why: string) => void): WorkerHost {
  const thread = new Worker(new URL('worker-thread.ts', import.meta.url), { workerData });
  const { worker } = workerData.settings;
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let nextId = 1;
  let why = 'it ended';
  let refusal: Error | undefined;
  let isReady = false;
  let isStopped = false;
  let isGone = false;
  const gone = () => new Error(`worker ${worker}: ${why}`);
  const ready = new Promise<void>((resolve, reject) => {
    thread.on('message', ({ id, result, error }: WorkerAnswer) => {
      const one = waiting.get(id);
      waiting.delete(id);
      if (id === 0 && error === undefined) {
        isReady = true;
        resolve();
      } else if (id === 0) {
        refusal = new Error(error);
        void thread.terminate();
      } else if (error === undefined) one?.resolve(result);
      else one?.reject(new Error(error));
    });
    thread.on('error', (error) => {
      why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    thread.on('exit', () => {
      isGone = true;
      for (const one of waiting.values()) one.reject(gone());
      waiting.clear();
      if (!isReady) reject(refusal ?? gone());
      else if (!isStopped) onGone(why);
    });
  });
  return {
    ready,
    get isGone() {
      return isGone;
    },
    kill: async () => {
      await thread.terminate();
    },
    ask: (verb, argument) =>
      new Promise((answered, refused) => {
        if (isGone) {
          refused(gone());
          return;
        }
        const id = nextId++;
        if (verb === 'stop') isStopped = true;
        waiting.set(id, { resolve: answered as (value: unknown) => void, reject: refused });
        thread.postMessage({ id, verb, argument } satisfies WorkerQuestion);
      }),
  };
}
