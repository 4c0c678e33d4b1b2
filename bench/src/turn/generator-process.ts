import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATOR_CPU, Pinned } from '../pinned.ts';
import type { Allocated, Request, Traffic } from './loads.ts';

/** Clients and peers; both below the ports of relayed addresses. */
const CLIENT_PORT = 5000;
const PEER_PORT = 5001;

type Answer = { readonly answer: unknown } | { readonly failed: string };

/** The generator as the bench sees it: one request at a time. */
export class Generator {
  /** Bytes of packets that its sockets hold, as the system granted them. */
  readonly receiveBuffer: number;
  readonly #process: Pinned;
  readonly #ask: (request: Request | undefined) => Promise<unknown>;

  private constructor(process: Pinned, ask: (request: Request | undefined) => Promise<unknown>, receiveBuffer: number) {
    this.#process = process;
    this.#ask = ask;
    this.receiveBuffer = receiveBuffer;
  }

  static async start(folder: string): Promise<Generator> {
    const log = join(folder, 'generator.log');
    const script = new URL('generator.ts', import.meta.url).pathname;
    let settle: ((answer: Answer) => void) | undefined;
    const own: Pinned = await Pinned.start([process.execPath, script, String(CLIENT_PORT), String(PEER_PORT)], {
      cpu: GENERATOR_CPU,
      cwd: folder,
      log,
      onMessage: (message) => settle?.(message as Answer),
    });
    const died = own.ended().then((code): Answer => {
      const said = readFileSync(log, 'utf8').slice(-1500);
      return { failed: `the generator ended with ${code}: ${said}` };
    });
    const ask = async (request: Request | undefined): Promise<unknown> => {
      const answered = new Promise<Answer>((resolve) => {
        settle = resolve;
      });
      if (request) own.send(request);
      const answer = await Promise.race([answered, died]);
      if ('failed' in answer) throw new Error(answer.failed);
      return answer.answer;
    };
    // It says so when it is up.
    const { receiveBuffer } = (await ask(undefined)) as { receiveBuffer: number };
    return new Generator(own, ask, receiveBuffer);
  }

  allocate(request: Omit<Request & { kind: 'allocate' }, 'kind'>): Promise<Allocated> {
    return this.#ask({ kind: 'allocate', ...request }) as Promise<Allocated>;
  }

  load(request: Omit<Request & { kind: 'load' }, 'kind'>): Promise<Traffic> {
    return this.#ask({ kind: 'load', ...request }) as Promise<Traffic>;
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
