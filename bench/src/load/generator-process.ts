import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATOR_CPU, Pinned } from '../pinned.ts';
import type { LoadRequest, Traffic } from './loads.ts';

/** Clients and peers; both below the ports of relays. */
export const CLIENT_PORT = 5000;
export const PEER_PORT = 5001;

type Answer = { readonly answer: unknown } | { readonly failed: string };

/** The generator as the bench sees it: one request at a time. */
export class Generator {
  /** Bytes of packets that its sockets hold, as the system granted them. */
  readonly receiveBuffer: number;
  readonly #process: Pinned;
  readonly #ask: (request: object | undefined) => Promise<unknown>;

  private constructor(process: Pinned, ask: (request: object | undefined) => Promise<unknown>, receiveBuffer: number) {
    this.#process = process;
    this.#ask = ask;
    this.receiveBuffer = receiveBuffer;
  }

  /** @param script a program that calls `serveGenerator` */
  static async start(script: URL, folder: string): Promise<Generator> {
    const log = join(folder, 'generator.log');
    let settle: ((answer: Answer) => void) | undefined;
    const command = [process.execPath, script.pathname, String(CLIENT_PORT), String(PEER_PORT)];
    const own: Pinned = await Pinned.start(command, {
      cpu: GENERATOR_CPU,
      cwd: folder,
      log,
      onMessage: (message) => settle?.(message as Answer),
    });
    const died = own.ended().then((code): Answer => {
      const said = readFileSync(log, 'utf8').slice(-1500);
      return { failed: `the generator ended with ${code}: ${said}` };
    });
    const ask = async (request: object | undefined): Promise<unknown> => {
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

  /** Makes a relay ready for loads; what it answers is the script's. */
  setUp(request: { readonly kind: string }): Promise<unknown> {
    return this.#ask(request);
  }

  load(request: Omit<LoadRequest, 'kind'>): Promise<Traffic> {
    return this.#ask({ kind: 'load', ...request }) as Promise<Traffic>;
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
