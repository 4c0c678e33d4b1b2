import { writeFileSync } from 'node:fs';
import WebSocket from 'ws';
import { type System, waitUntil } from '../system.ts';

/** For the environment of a system whose parts are looked into: any free port instead of one that all would want. */
export const INSPECTABLE = { NODE_OPTIONS: '--inspect-port=0' };

/** A part seen through Node's inspector, which SIGUSR1 opens: the part itself needs nothing for it. */
export class Inspected {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #nextId = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const { id, result, error } = JSON.parse(String(data)) as { id: number; result: unknown; error?: Error };
      const asked = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) asked?.reject(new Error(error.message));
      else asked?.resolve(result);
    });
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the part is gone'));
    });
    socket.on('error', () => socket.terminate());
  }

  static async open(system: System, part: string): Promise<Inspected> {
    const { pid } = await system.status(part);
    const before = system.log(part).length;
    process.kill(pid, 'SIGUSR1');
    let url: string | undefined;
    await waitUntil(`the inspector of ${part} is open`, async () => {
      url = /Debugger listening on (ws:\S+)/.exec(system.log(part).slice(before))?.[1];
      return url !== undefined;
    });
    const socket = new WebSocket(url!);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return new Inspected(socket);
  }

  /** What is used once everything unreachable is gone. */
  async memory(): Promise<{ heapBytes: number; rssBytes: number }> {
    for (let times = 0; times < 3; times++) await this.#ask('HeapProfiler.collectGarbage');
    const { result } = (await this.#ask('Runtime.evaluate', {
      expression: '(({ heapUsed, rss }) => ({ heapBytes: heapUsed, rssBytes: rss }))(process.memoryUsage())',
      returnByValue: true,
    })) as { result: { value: { heapBytes: number; rssBytes: number } } };
    return result.value;
  }

  /** Writes where its time goes while `work` runs, for Chromium's developer tools. */
  async profile<T>(path: string, work: () => Promise<T>): Promise<T> {
    await this.#ask('Profiler.enable');
    await this.#ask('Profiler.start');
    try {
      return await work();
    } finally {
      const { profile } = (await this.#ask('Profiler.stop')) as { profile: unknown };
      writeFileSync(path, JSON.stringify(profile));
    }
  }

  close(): void {
    this.#socket.terminate();
  }

  #ask(method: string, params: object = {}): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}
