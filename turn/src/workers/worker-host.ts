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

/** A worker of this or of another thread. */
export interface WorkerHost {
  /** Ends it at once, as a crash would; only a thread can be. */
  kill(): Promise<void>;
  ask<V extends WorkerVerb>(verb: V, argument?: Parameters<TurnWorker[V]>[0]): Promise<ReturnType<TurnWorker[V]>>;
}

/** The only worker lives in the thread of the process. */
export async function hostHere(settings: WorkerSettings): Promise<WorkerHost> {
  const worker = await TurnWorker.open(settings);
  return {
    kill: () => Promise.reject(new Error('the only worker is the process itself')),
    ask: async (verb, argument) =>
      (worker[verb] as (argument: unknown) => unknown)(argument) as ReturnType<TurnWorker[typeof verb]>,
  };
}

/** A worker in a thread of its own. `onGone`: it has ended without being told to. */
export function hostInThread(settings: WorkerSettings, onGone: (why: string) => void): Promise<WorkerHost> {
  const thread = new Worker(new URL('worker-thread.ts', import.meta.url), { workerData: settings });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let nextId = 1;
  let isReady = false;
  let why = 'it ended';
  let isStopped = false;
  return new Promise((resolve, reject) => {
    const host: WorkerHost = {
      kill: async () => {
        await thread.terminate();
      },
      ask: (verb, argument) =>
        new Promise((answered, refused) => {
          const id = nextId++;
          if (verb === 'stop') isStopped = true;
          waiting.set(id, { resolve: answered as (value: unknown) => void, reject: refused });
          thread.postMessage({ id, verb, argument } satisfies WorkerQuestion);
        }),
    };
    thread.on('message', ({ id, result, error }: WorkerAnswer) => {
      if (id === 0) {
        if (error !== undefined) {
          isStopped = true;
          void thread.terminate();
          reject(new Error(error));
          return;
        }
        isReady = true;
        resolve(host);
        return;
      }
      const one = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) one?.resolve(result);
      else one?.reject(new Error(error));
    });
    thread.on('error', (error) => {
      why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    thread.on('exit', () => {
      for (const { reject: refused } of waiting.values()) refused(new Error(`worker ${settings.worker}: ${why}`));
      waiting.clear();
      if (!isReady) reject(new Error(`worker ${settings.worker}: ${why}`));
      else if (!isStopped) onGone(why);
    });
  });
}
