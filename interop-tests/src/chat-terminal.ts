import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { waitUntil } from './system.ts';

const MAIN = new URL('../../cli/src/main.ts', import.meta.url).pathname;

/** A real `offhook chat`, whose lines a test types. */
export class ChatTerminal implements AsyncDisposable {
  output = '';
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  /** `folder` is its home: what it remembers is there, unless the system that runs has a data folder for it. */
  constructor(how: { readonly folder: string; readonly password: string }, ...args: string[]) {
    const { folder, password } = how;
    mkdirSync(folder, { recursive: true });
    const env: NodeJS.ProcessEnv = { ...process.env, OFFHOOK_PASSWORD: password, XDG_DATA_HOME: folder };
    delete env.NODE_TEST_CONTEXT;
    this.#child = spawn(process.execPath, [MAIN, 'chat', ...args], { stdio: 'pipe', env, cwd: folder });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    this.ended = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** Waits until its output is like that; `detail` is what else may tell why it is not. */
  says(what: RegExp, detail: () => string = () => ''): Promise<void> {
    return waitUntil(
      String(what),
      async () => what.test(this.output),
      60_000, // a busy machine needs many seconds to start a process
      () => `${this.output}\n${detail()}`,
    );
  }

  type(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /** No more lines: it ends when it is known what has become of all texts. */
  end(): void {
    this.#child.stdin!.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
