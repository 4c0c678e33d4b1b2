import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { DOMAIN, PASSWORD } from './scripted-server.ts';

const MAIN = join(import.meta.dirname, '../../main.ts');
/** What a person starts; it has to leave the terminal to the chat. */
const BIN = join(import.meta.dirname, '../../../bin/offhook.mjs');
/** A busy machine needs many seconds to start a process. */
const WAIT_MS = 60_000;

export interface ChatProcessOptions {
  readonly user: string;
  readonly server: string;
  /** Home, and what is kept. */
  readonly folder: string;
  readonly args?: readonly string[];
  readonly password?: string;
  /** In a pseudo-terminal, by script(1). */
  readonly isTerminal?: boolean;
}

/** A real `offhook chat`, driven by lines. */
export class RunningChat implements AsyncDisposable {
  output = '';
  errors = '';
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();

  constructor(options: ChatProcessOptions) {
    const { user, server, folder, args = [], password = PASSWORD, isTerminal = false } = options;
    const words = [process.execPath, isTerminal ? BIN : MAIN, 'chat', `${user}@${DOMAIN}`, '--server', server, ...args];
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      OFFHOOK_PASSWORD: password,
      XDG_DATA_HOME: folder,
      HOME: folder,
      TERM: 'xterm',
      COLUMNS: '80',
    };
    delete env.NODE_TEST_CONTEXT;
    const [program, ...rest] = isTerminal
      ? ['script', '-qefc', `stty cols 80 rows 24; exec ${words.join(' ')}`, '/dev/null']
      : words;
    const child = spawn(program!, rest, { cwd: folder, env, stdio: 'pipe' });
    this.#child = child;
    child.stdout!.on('data', (bytes: Buffer) => {
      this.output += bytes.toString();
      for (const check of this.#waiting) check();
    });
    child.stderr!.on('data', (bytes: Buffer) => {
      this.errors += bytes.toString();
    });
    this.ended = new Promise((resolve) => child.once('close', resolve));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Waits until its output, from a place on, is like that; answers what was found. */
  async says(what: RegExp, from = 0): Promise<RegExpExecArray> {
    const found = Promise.withResolvers<RegExpExecArray>();
    const check = () => {
      const match = what.exec(this.output.slice(from));
      if (match) found.resolve(match);
    };
    this.#waiting.add(check);
    const fail = (words: string) => found.reject(new Error(`${words} before ${what}:\n${this.output}\n${this.errors}`));
    const timer = setTimeout(() => fail('no such words'), WAIT_MS);
    void this.ended.then(() => fail('it ended'));
    try {
      check();
      return await found.promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(check);
    }
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** No more lines: what a script's end is. */
  end(): void {
    this.#child.stdin!.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
