import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decodeNg, encodeNg, type NgDictionary } from '@offhook/core';

const RETRANSMIT_MS = 500;
const TRIES = 20;

/** A client of the NG control protocol over UDP. */
export class NgClient {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #waiting = new Map<string, (message: NgDictionary) => void>();
  /** rtpengine knows cookies whoever they come from. */
  readonly #own = randomBytes(6).toString('hex');
  #next = 1;

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.on('message', (bytes) => {
      const answer = decodeNg(bytes);
      if (answer) this.#waiting.get(answer.cookie)?.(answer.message);
    });
  }

  static async open(port: number): Promise<NgClient> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.on('error', () => {}); // the relay is not there yet
    return new NgClient(socket, port);
  }

  /** @throws what the relay says when it refuses, or that it doesn't answer */
  async ask(message: NgDictionary, tries = TRIES): Promise<NgDictionary> {
    const cookie = `${this.#own}${this.#next++}`;
    const bytes = encodeNg(cookie, message, 'bencode');
    const answered = new Promise<NgDictionary>((resolve) => this.#waiting.set(cookie, resolve));
    try {
      for (let n = 0; n < tries; n++) {
        this.#socket.send(bytes, this.#port, '127.0.0.1');
        const answer = await Promise.race([answered, silence()]);
        if (answer === undefined) continue;
        if (answer.result === 'ok' || answer.result === 'pong') return answer;
        throw new Error(`the relay refuses ${message.command}: ${answer['error-reason']}`);
      }
      throw new Error(`the relay does not answer ${message.command}`);
    } finally {
      this.#waiting.delete(cookie);
    }
  }

  close(): void {
    this.#socket.close();
  }
}

function silence(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), RETRANSMIT_MS).unref());
}
