import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Delivery } from './outbox.ts';

/** Texts that are kept; the file may have twice as many lines before it is written anew. */
const MAX_TEXTS = 1000;
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** One text, sent or received, as it is kept: a line of JSON. */
export interface Remembered {
  readonly id: string;
  /** ISO 8601, when it was written. */
  readonly at: string;
  /** The other person, as `Person.name` says. */
  readonly with: string;
  readonly own: boolean;
  readonly text: string;
  readonly state?: Delivery;
}

/** Somebody whom the server has said not to know; whoever is written with again afterwards is known again. */
interface Gone {
  readonly gone: string;
}

/** What was written, in a file that nobody else can read; the last line of an id is how it is now. */
export class History {
  readonly #path: string;
  readonly #texts = new Map<string, Remembered>();
  readonly #gone = new Set<string>();
  #lines = 0;
  /** Why nothing is kept, in words; said once by the caller. */
  trouble: string | undefined;

  constructor(path: string) {
    this.#path = path;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      this.#read();
    } catch (error) {
      this.trouble = `what is written here is not kept: ${(error as Error).message}`;
    }
  }

  /** The texts in the order of writing, those with one person or all. */
  texts(who?: string): readonly Remembered[] {
    return [...this.#texts.values()].filter((one) => who === undefined || one.with === who);
  }

  find(id: string): Remembered | undefined {
    return this.#texts.get(id);
  }

  /** People written with, the last one first; without those whom the server does not know. */
  people(): readonly string[] {
    return [...new Set([...this.#texts.values()].reverse().map((one) => one.with))].filter(
      (one) => !this.#gone.has(one),
    );
  }

  /** Remembers a text, or what has become of it. */
  note(one: Remembered): void {
    this.#keep(one);
    this.#add(one);
  }

  /** The server knows nobody of that name: none of `people` until a text comes or arrives. */
  noteGone(name: string): void {
    if (this.#gone.has(name) || !this.people().includes(name)) return;
    this.#gone.add(name);
    this.#add({ gone: name });
  }

  /** Deletes what was written with one person; answers how many texts. */
  forget(name: string): number {
    const trouble = this.trouble;
    if (trouble === undefined) this.#try(() => this.#load()); // what another terminal has written
    const texts = this.texts(name);
    for (const { id } of texts) this.#texts.delete(id);
    this.#gone.delete(name);
    if (texts.length > 0 && trouble === undefined) this.#try(() => this.#write());
    return texts.length;
  }

  #add(one: Remembered | Gone): void {
    if (this.trouble !== undefined) return;
    this.#try(() => {
      if (++this.#lines > MAX_TEXTS * 2) this.#rewrite();
      else appendFileSync(this.#path, `${JSON.stringify(one)}\n`, { mode: 0o600 });
    });
  }

  #try(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.trouble = `what is written from now on is not kept: ${(error as Error).message}`;
    }
  }

  #keep(one: Remembered): void {
    this.#texts.set(one.id, one); // a known id keeps its place
    if (one.state !== 'failed') this.#gone.delete(one.with);
    if (this.#texts.size > MAX_TEXTS) this.#texts.delete(this.#texts.keys().next().value!);
  }

  #read(): void {
    this.#load();
    if (this.#lines > this.#texts.size + this.#gone.size) this.#rewrite();
  }

  #load(): void {
    let content: string;
    try {
      chmodSync(this.#path, 0o600);
      content = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    if (content.length > MAX_FILE_BYTES) content = content.slice(-MAX_FILE_BYTES);
    this.#lines = 0;
    for (const line of content.split('\n')) {
      const one = parseLine(line);
      if (one && 'gone' in one) this.#gone.add(one.gone);
      else if (one) this.#keep(one);
      if (line !== '') this.#lines++;
    }
  }

  /** Another terminal of the same account may have added to it meanwhile. */
  #rewrite(): void {
    this.#load();
    this.#write();
  }

  #write(): void {
    const fresh = `${this.#path}.${process.pid}`;
    const texts = [...this.#texts.values()];
    const gone = [...this.#gone]
      .filter((name) => texts.some((one) => one.with === name))
      .map((name) => ({ gone: name }));
    const lines = [...texts, ...gone].map((one) => `${JSON.stringify(one)}\n`);
    writeFileSync(fresh, lines.join(''), { mode: 0o600 });
    renameSync(fresh, this.#path);
    this.#lines = lines.length;
  }
}

/** A line that was cut by a crash, or is somebody's joke, is passed over. */
function parseLine(line: string): Remembered | Gone | undefined {
  try {
    const one = JSON.parse(line) as Partial<Record<keyof (Remembered & Gone), unknown>>;
    if (typeof one.gone === 'string') return { gone: one.gone };
    const { id, at, text, own } = one;
    const isText = [id, at, one.with, text].every((value) => typeof value === 'string' && value !== '');
    return isText && typeof own === 'boolean' && !Number.isNaN(Date.parse(String(at)))
      ? (one as Remembered)
      : undefined;
  } catch {
    return undefined;
  }
}
