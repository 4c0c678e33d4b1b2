import type { CallFacts, Routed } from './decision.ts';
import { type Evaluated, evaluate, type Known } from './evaluate.ts';
import { placeOf } from './place.ts';
import type { CompiledRule } from './rules.ts';
import type { FromThread, Question, ToThread } from './thread-messages.ts';

export interface DeskOptions {
  readonly rules: readonly CompiledRule[];
  readonly zone: string;
  readonly decideMs: number;
  /** Where others read which rule runs. */
  readonly running: Int32Array;
  readonly post: (message: FromThread) => void;
}

/** What one call may ask. */
const MAX_QUESTIONS = 200;
const IDLE = -1;

/** Answers calls in the routes' thread, each within its time; asks the server what it does not know itself. */
export class Desk {
  readonly #options: DeskOptions;
  readonly #asked = new Map<number, (answer: Known | Routed) => void>();
  #questions = 0;
  #busy = 0;

  constructor(options: DeskOptions) {
    this.#options = options;
    options.running[0] = IDLE;
  }

  handle(message: ToThread): void {
    switch (message.kind) {
      case 'route':
        void this.#route(message.id, message.facts, message.atMs);
        break;
      case 'told':
        this.#asked.get(message.question)?.(message.answer);
        this.#asked.delete(message.question);
        break;
      default:
        message satisfies never;
    }
  }

  async #route(id: number, facts: CallFacts, atMs: number): Promise<void> {
    const { rules, zone, decideMs, running, post } = this.#options;
    const waiting = new AbortController();
    const { signal } = waiting;
    const sentences: string[] = [];
    const mine: number[] = [];
    let current = IDLE;
    const ask = <T extends Known | Routed>(question: Question): Promise<T> => {
      if (signal.aborted) return Promise.reject(new Error('the call waits no longer for an answer'));
      if (mine.length >= MAX_QUESTIONS)
        return Promise.reject(new Error(`more than ${MAX_QUESTIONS} questions for one call`));
      const number = ++this.#questions;
      mine.push(number);
      return new Promise((resolve) => {
        this.#asked.set(number, resolve as (answer: Known | Routed) => void);
        post({ ...question, question: number, id });
      });
    };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Evaluated>((resolve) => {
      timer = setTimeout(() => {
        waiting.abort(new Error('the call waits no longer for an answer'));
        const { label, name } = rules[current] ?? { label: 'the built-in routing', name: '' };
        resolve({
          decision: { kind: 'reject', status: 503, reason: `the routes gave no answer in time (rule '${name}')` },
          steps: [...sentences, `${label}: no answer within ${decideMs / 1000} s`],
          transit: false,
        });
      }, decideMs);
    });
    this.#busy++;
    const decided = evaluate(
      rules,
      facts,
      {
        atMs,
        zone,
        signal,
        lookup: (name, about) => ask({ kind: 'lookup', name: name.slice(0, 256), about }),
        builtIn: (to, how) => ask({ kind: 'built-in', to, how }),
        enter: (index) => {
          current = index;
          running[0] = index;
        },
        place: placeOf,
      },
      sentences,
    );
    const evaluated = await Promise.race([decided, late]).catch(
      (error: unknown): Evaluated => ({
        decision: { kind: 'reject', status: 500, reason: 'the routes could not be followed' },
        steps: [...sentences, String(error).slice(0, 300)],
        transit: false,
      }),
    );
    clearTimeout(timer);
    for (const question of mine) this.#asked.delete(question);
    if (--this.#busy === 0) running[0] = IDLE;
    post({ kind: 'routed', id, evaluated });
  }
}
