import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { CallFacts, Routed } from './decision.ts';
import type { Known } from './evaluate.ts';
import type { Named } from './rules.ts';
import type { FromThread, Question, Sources, ThreadData, ToThread } from './thread-messages.ts';

export interface ThreadOptions {
  readonly path: string;
  /** Runs these instead of what the disk holds now. */
  readonly sources?: Sources;
  readonly loadMs: number;
  readonly decideMs: number;
  readonly memoryMb: number;
  readonly answer: (question: Question, facts: CallFacts) => Known | Routed;
  /** What the user's code prints. */
  readonly onPrinted: (line: string) => void;
  /** The thread ended by itself, in words; what was asked of it is not answered any more. */
  readonly onGone: (thread: RoutesThread, why: string) => void;
}

/** Why routes can't be used, in words; and which files were read until that was known. */
export class RoutesError extends Error {
  readonly sources: Sources;
  constructor(problems: readonly string[], sources: Sources = new Map()) {
    super(problems.join('; '));
    this.sources = sources;
  }
}

type Answered = (evaluated: unknown) => void;

/** A version of the user's routes in a thread of its own, loaded and found good. */
export class RoutesThread {
  readonly rules: readonly string[];
  readonly named: readonly Named[];
  readonly sources: Sources;
  readonly #worker: Worker;
  readonly #running: Int32Array;
  readonly #asked = new Map<number, { readonly facts: CallFacts; readonly then: Answered }>();
  #nextId = 1;
  #onIdle: (() => void) | undefined;
  #stopped: Promise<unknown> | undefined;

  private constructor(
    { worker, running, options }: { worker: Worker; running: Int32Array; options: ThreadOptions },
    { rules, named, sources }: Extract<FromThread, { kind: 'loaded' }>,
  ) {
    this.rules = rules;
    this.named = named;
    this.sources = sources;
    this.#worker = worker;
    this.#running = running;
    let why: string | undefined;
    worker.on('message', (message: FromThread) => this.#handle(message, options));
    worker.on('error', (error) => {
      why = endWords(error, options.memoryMb);
    });
    worker.on('exit', (code) => {
      if (!this.#stopped) options.onGone(this, why ?? exitWords(code));
    });
  }

  /** Throws RoutesError in words when the routes can't be used; no thread is left then. */
  static async load(options: ThreadOptions, signal: AbortSignal): Promise<RoutesThread> {
    const { path, sources, decideMs, memoryMb, onPrinted } = options;
    const at = new SharedArrayBuffer(4);
    const data: ThreadData = { url: pathToFileURL(path).href, at, decideMs, sources };
    const worker = new Worker(new URL('./routes-worker.ts', import.meta.url), {
      workerData: data,
      name: 'routes',
      execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', '--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: 8, stackSizeMb: 2 },
      stdout: true,
      stderr: true,
    });
    for (const stream of [worker.stdout, worker.stderr]) printed(stream, onPrinted);
    try {
      const loaded = await firstWord(worker, options, signal);
      if (loaded.kind === 'unusable') throw new RoutesError(loaded.problems, loaded.sources);
      return new RoutesThread({ worker, running: new Int32Array(at), options }, loaded);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** Asks what becomes of a call; `then` gets what the thread says, unchecked, unless the thread ends first. */
  ask(facts: CallFacts, atMs: number, then: Answered): void {
    const id = this.#nextId++;
    this.#asked.set(id, { facts, then });
    this.#post({ kind: 'route', id, facts, atMs });
  }

  /** The name of the rule that runs now, as far as it can be seen from outside. */
  get runs(): string | undefined {
    return this.rules[Atomics.load(this.#running, 0)];
  }

  /** Answers what it has been asked, then ends. */
  retire(onEnded: () => void): void {
    this.#onIdle = () => void this.stop().then(onEnded);
    if (this.#asked.size === 0) this.#onIdle();
  }

  /** Ends at once, whatever the code in it does. */
  stop(): Promise<unknown> {
    this.#stopped ??= this.#worker.terminate();
    return this.#stopped;
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #handle(message: FromThread, options: ThreadOptions): void {
    if (this.#stopped) return;
    const asked = this.#asked.get((message as { id?: number } | null)?.id ?? 0);
    if (!asked) return;
    switch (message.kind) {
      case 'lookup':
      case 'built-in':
        this.#post({ kind: 'told', question: message.question, answer: options.answer(message, asked.facts) });
        break;
      case 'routed':
        this.#asked.delete(message.id);
        asked.then(message.evaluated);
        if (this.#asked.size === 0) this.#onIdle?.();
        break;
    }
  }
}

/** Waits until the thread says whether its file can be used. */
function firstWord(
  worker: Worker,
  { loadMs, memoryMb }: ThreadOptions,
  signal: AbortSignal,
): Promise<Extract<FromThread, { kind: 'loaded' | 'unusable' }>> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
    };
    const refuse = (words: string) => {
      settle();
      worker.on('error', () => {}); // it is about to be ended
      reject(new RoutesError([words]));
    };
    const onAbort = () => refuse('the server is being stopped');
    const seconds = loadMs / 1000;
    const timer = setTimeout(() => refuse(`the code does not come to an end when it is loaded (${seconds} s)`), loadMs);
    signal.addEventListener('abort', onAbort);
    worker.on('message', (message: FromThread) => {
      if (!isFirstWord(message)) return;
      settle();
      resolve(message);
    });
    worker.on('error', (error) => refuse(endWords(error, memoryMb)));
    worker.on('exit', (code) => refuse(code === UNSETTLED ? 'the code awaits what never comes' : exitWords(code)));
    if (signal.aborted) onAbort();
  });
}

/** Code of the user's could say the same in other words. */
function isFirstWord(message: FromThread): message is Extract<FromThread, { kind: 'loaded' | 'unusable' }> {
  const isTexts = (list: unknown) => Array.isArray(list) && list.every((one) => typeof one === 'string');
  if (message?.kind === 'unusable') return isTexts(message.problems) && message.sources instanceof Map;
  if (message?.kind !== 'loaded') return false;
  const { rules, named, sources } = message;
  if (!isTexts(rules) || !Array.isArray(named) || !(sources instanceof Map)) return false;
  return named.every((one) => typeof one?.rule === 'string' && isTexts(one.names) && isTexts(one.trunks));
}

/** Exit code of Node: "Unsettled Top-Level Await". */
const UNSETTLED = 13;

function exitWords(code: number): string {
  return `the code has ended its thread (exit code ${code})`;
}

function endWords(error: unknown, memoryMb: number): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return `the code needs more than ${memoryMb} MB of memory`;
  return error instanceof Error ? `the code failed: ${name}: ${message}` : `the code threw ${String(error)}`;
}

const LINES_AT_ONCE = 50;
const LINES_MS = 10_000;
const MAX_LINE = 500;

/** What the user's code prints, line by line; too much of it is left out. */
function printed(stream: NodeJS.ReadableStream, onPrinted: (line: string) => void): void {
  let held = '';
  let lines = 0;
  let sinceMs = performance.now();
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const nowMs = performance.now();
    if (nowMs - sinceMs > LINES_MS) {
      sinceMs = nowMs;
      lines = 0;
    }
    const parts = (held + chunk).split('\n');
    held = parts.pop()!.slice(0, MAX_LINE);
    for (const line of parts) {
      if (lines++ < LINES_AT_ONCE) onPrinted(line.slice(0, MAX_LINE));
    }
  });
}
