import { parentPort, workerData } from 'node:worker_threads';
import { TurnWorker, type WorkerSettings } from './turn-worker.ts';
import type { WorkerAnswer, WorkerQuestion } from './worker-host.ts';

/** The main of a worker thread: starts its share of the server and answers what the main thread asks. */
const port = parentPort!;
let worker: TurnWorker | undefined;

port.on('message', ({ id, verb, argument }: WorkerQuestion) => {
  try {
    const result = (worker![verb] as (argument: unknown) => unknown)(argument);
    port.postMessage({ id, result } satisfies WorkerAnswer);
    if (verb === 'stop') port.close();
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies WorkerAnswer);
  }
});

try {
  worker = await TurnWorker.open(workerData as WorkerSettings);
  port.postMessage({ id: 0, result: 'ready' } satisfies WorkerAnswer);
} catch (error) {
  port.postMessage({ id: 0, error: error instanceof Error ? error.message : String(error) } satisfies WorkerAnswer);
}
