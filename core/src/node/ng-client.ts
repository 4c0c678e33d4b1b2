import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decodeNg, encodeNg, type NgDictionary, type NgEncoding } from '../ng/index.ts';

const LOOPBACK = '127.0.0.1';
const RETRANSMIT_MS = 500;
const TRIES = 20;

/** A client of the NG control protocol over UDP on loopback: each request is repeated under its cookie until it is answered. */
export class NgClient implements Disposable {
  readonly #socket: Socket;
  readonly #port: number;
  /** By cookie; without a message no answer comes any more. */
  readonly #waiting = new Map<string, (message?: NgDictionary) => void>();
  /** rtpengine knows cookies whoever they come from. */
  readonly #own = randomBytes(6).toString('hex');
  #next = 1;

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.unref(); // a client that was forgotten keeps no process from ending
    socket.on('error', () => {}); // the answer stays away
    socket.on('message', (bytes) => {
      const answer = decodeNg(bytes);
      if (answer) this.#waiting.get(answer.cookie)?.(answer.message);
    });
  }

  static async open(port: number): Promise<NgClient> {
    const socket = createSocket('udp4').bind(0, LOOPBACK);
    await once(socket, 'listening');
    return new NgClient(socket, port);
  }

  /** The answer, whatever it says. @throws when none comes in ten seconds */
  async call(message: NgDictionary, encoding: NgEncoding = 'bencode'): Promise<NgDictionary> {
    const cookie = `${this.#own}${this.#next++}`;
    const bytes = encodeNg(cookie, message, encoding);
    return new Promise((resolve, reject) => {
      let tries = 1;
      const transmit = () => this.#socket.send(bytes, this.#port, LOOPBACK);
      const end = (answer?: NgDictionary) => {
        clearInterval(timer);
        this.#waiting.delete(cookie);
        if (answer) resolve(answer);
        else reject(new Error(`the relay does not answer ${message.command}`));
      };
      const timer = setInterval(() => {
        if (tries++ < TRIES) transmit();
        else end();
      }, RETRANSMIT_MS);
      this.#waiting.set(cookie, end);
      transmit();
    });
  }

  /** @throws also what the relay says when it refuses */
  async ask(message: NgDictionary): Promise<NgDictionary> {
    const answer = await this.call(message);
    if (answer.result === 'ok' || answer.result === 'pong') return answer;
    throw new Error(`the relay refuses ${message.command}: ${answer['error-reason']}`);
  }

  /** The description that a command answers with. @throws as `ask` does */
  async sdp(message: NgDictionary): Promise<string> {
    const { sdp } = await this.ask(message);
    if (typeof sdp !== 'string') throw new Error(`the relay answers ${message.command} without a description`);
    return sdp;
  }

  /** Nobody is left waiting. */
  [Symbol.dispose](): void {
    this.#socket.close();
    for (const end of [...this.#waiting.values()]) end();
  }
}
