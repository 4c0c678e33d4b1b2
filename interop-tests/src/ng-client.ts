import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decodeNg, encodeNg, type NgDictionary } from '@offhook/core';

const RETRANSMIT_MS = 500;
const TRIES = 10;

/** A client of the NG control protocol over UDP. */
export class NgClient implements Disposable {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, (message: NgDictionary) => void>();
  #next = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {}); // the relay is gone: the answer stays away
    socket.on('message', (bytes) => {
      const answer = decodeNg(bytes);
      if (answer) this.#waiting.get(answer.cookie)?.(answer.message);
    });
  }

  static async open(port: number): Promise<NgClient> {
    const socket = createSocket('udp4');
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new NgClient(socket);
  }

  /** @throws what the relay says when it refuses, or that it does not answer */
  async ask(message: NgDictionary): Promise<NgDictionary> {
    const cookie = `${this.#socket.address().port}-${this.#next++}`;
    const bytes = encodeNg(cookie, message, 'bencode');
    const answered = new Promise<NgDictionary>((resolve) => this.#waiting.set(cookie, resolve));
    const transmit = () => this.#socket.send(bytes);
    const timer = setInterval(transmit, RETRANSMIT_MS);
    const silence = new Promise<undefined>((resolve) =>
      setTimeout(() => resolve(undefined), RETRANSMIT_MS * TRIES).unref(),
    );
    transmit();
    const answer = await Promise.race([answered, silence]);
    clearInterval(timer);
    this.#waiting.delete(cookie);
    if (!answer) throw new Error(`the relay does not answer ${message.command}`);
    if (answer.result !== 'ok') throw new Error(`the relay refuses ${message.command}: ${answer['error-reason']}`);
    return answer;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
