import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { ControlContext } from './commands.ts';
import type { ControlParts } from './connection.ts';
import type { NgDispatcher } from './dispatcher.ts';
import { malformedAnswer } from './malformed.ts';

const RECEIVE_BUFFER = 4 * 1024 * 1024;

/** The NG control protocol over UDP. */
export class NgServer {
  readonly #socket: Socket;
  readonly #context: ControlContext;
  readonly #dispatcher: NgDispatcher;
  #isTaking = true;
  #isOpen = true;

  private constructor(socket: Socket, { context, dispatcher }: ControlParts) {
    this.#socket = socket;
    this.#context = context;
    this.#dispatcher = dispatcher;
    socket.on('message', (bytes, from) => this.#handle(bytes, from));
    socket.on('error', () => {}); // ICMP errors of clients that went away
  }

  /** Rejects with the system's error when the port is in use. */
  static listen(at: { address: string; port: number }, parts: ControlParts): Promise<NgServer> {
    const socket = createSocket(at.address.includes(':') ? 'udp6' : 'udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        socket.setRecvBufferSize(RECEIVE_BUFFER); // the system may cap it
        resolve(new NgServer(socket, parts));
      });
    });
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** What has begun is still answered. */
  async close(): Promise<void> {
    this.#isTaking = false;
    await this.#dispatcher.settled();
    this.#isOpen = false;
    await new Promise<void>((done) => this.#socket.close(() => done()));
  }

  #handle(bytes: Uint8Array, from: RemoteInfo): void {
    const { counters, obeys } = this.#context;
    if (!this.#isTaking) return;
    if (!obeys(from.address)) {
      counters.refusedClients++;
      return;
    }
    const send = (answer: Uint8Array) => {
      if (this.#isOpen) this.#socket.send(answer, from.port, from.address);
    };
    const outcome = this.#dispatcher.handle(bytes, { key: `${from.address} ${from.port}`, send });
    const refusal = outcome === 'malformed' ? malformedAnswer(bytes) : undefined;
    if (refusal) send(refusal.answer);
  }
}
