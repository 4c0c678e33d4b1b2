import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { decodeNg, encodeNg, NG_LIMITS, type NgDictionary } from '@offhook/core';
import { type ControlContext, execute } from './commands.ts';
import { CookieCache } from './cookies.ts';

/** Requests waiting for their turn; more are dropped, the client repeats them. */
const MAX_WAITING = 1024;
const RECEIVE_BUFFER = 4 * 1024 * 1024;

/** The NG control protocol over UDP. Commands are carried out one after the other. */
export class NgServer {
  readonly #socket: Socket;
  readonly #context: ControlContext;
  readonly #cookies = new CookieCache();
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;
  #isOpen = true;

  private constructor(socket: Socket, context: ControlContext) {
    this.#socket = socket;
    this.#context = context;
    socket.on('message', (bytes, from) => this.#handle(bytes, from));
    socket.on('error', () => {}); // ICMP errors of clients that went away
  }

  /** Rejects with the system's error when the port is in use. */
  static listen(at: { address: string; port: number }, context: ControlContext): Promise<NgServer> {
    const socket = createSocket(at.address.includes(':') ? 'udp6' : 'udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        socket.setRecvBufferSize(RECEIVE_BUFFER); // the system may cap it
        resolve(new NgServer(socket, context));
      });
    });
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    await this.#queue;
    this.#cookies.clear();
    await new Promise<void>((done) => this.#socket.close(() => done()));
  }

  #handle(bytes: Uint8Array, from: RemoteInfo): void {
    const { counters, obeys } = this.#context;
    if (!obeys(from.address)) {
      counters.refusedClients++;
      return;
    }
    const decoded = decodeNg(bytes);
    if (!decoded) {
      counters.malformed++;
      return;
    }
    const { cookie, message, encoding } = decoded;
    const key = `${from.address} ${from.port} ${cookie}`;
    if (this.#waiting >= MAX_WAITING) {
      counters.overload++;
      return;
    }
    const known = this.#cookies.begin(key, this.#context.monotonicMs());
    if (known !== undefined) {
      counters.repeated++;
      if (known !== 'pending') this.#send(known, from);
      return;
    }
    counters.requests++;
    this.#waiting++;
    this.#queue = this.#queue.then(async () => {
      let answer = encodeNg(cookie, await this.#answer(message), encoding);
      if (answer.length > NG_LIMITS.bytes - 100) {
        answer = encodeNg(cookie, { result: 'error', 'error-reason': 'the answer is too long' }, encoding);
      }
      this.#waiting--;
      this.#cookies.finish(key, answer);
      this.#send(answer, from);
    });
  }

  /** A defect in one command must not take the other calls of this worker with it. */
  async #answer(message: NgDictionary): Promise<NgDictionary> {
    try {
      return await execute(this.#context, message);
    } catch (error) {
      this.#context.counters.errors++;
      return {
        result: 'error',
        'error-reason': `internal error: ${error instanceof Error ? error.message : 'unknown'}`,
      };
    }
  }

  #send(answer: Uint8Array, to: RemoteInfo): void {
    if (this.#isOpen) this.#socket.send(answer, to.port, to.address);
  }
}
