import { parentPort, workerData } from 'node:worker_threads';
import { noteDescriptors } from '@offhook/core/node';
import { TurnWorker } from './turn-worker.ts';
import type { ThreadData, WorkerAnswer, WorkerQuestion } from './worker-host.ts';

/** The main of a worker thread: starts its share of the server and answers what the main thread asks. */
const port = parentPort!;
const { settings, descriptors } = workerData as ThreadData;
/** Asked before it served. */
const early: WorkerQuestion[] = [];
let worker: TurnWorker | undefined;

port.on('message', (question: WorkerQuestion) => {
  if (worker) answer(worker, question);
  else early.push(question);
});

noteDescriptors(descriptors);
try {
  worker = await TurnWorker.open(settings);
  port.postMessage({ id: 0, result: 'ready' } satisfies WorkerAnswer);
  // In the turn in which its sockets were opened: none has been read yet.
  for (const question of early) answer(worker, question);
} catch (error) {
  port.postMessage({ id: 0, error: inWords(error) } satisfies WorkerAnswer);
}

function answer(worker: TurnWorker, { id, verb, argument }: WorkerQuestion): void {
  try {
    const result = (worker[verb] as (argument: unknown) => unknown)(argument);
    port.postMessage({ id, result } satisfies WorkerAnswer);
    if (verb === 'stop') port.close();
  } catch (error) {
    port.postMessage({ id, error: inWords(error) } satisfies WorkerAnswer);
  }
}

function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
