import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import {
  decodeStun,
  longTermKey,
  type SocketAddress,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { System } from './system.ts';

export interface TurnAccount {
  readonly port: number;
  readonly username: string;
  readonly credential: string;
  readonly uris: readonly string[];
}

/** The time-limited TURN credentials that the web phone would get after this sign-in. */
export async function turnAccount(system: System, user: string, password: string): Promise<TurnAccount> {
  const ask = async (path: string, init: RequestInit) => {
    const answer = await fetch(`${system.httpUrl}${path}`, init);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const headers = { 'content-type': 'application/json', origin: system.httpUrl };
  const { session } = await ask('/api/login', { method: 'POST', headers, body: JSON.stringify({ user, password }) });
  const { username, credential, uris } = await ask('/api/turn', { headers: { authorization: `Bearer ${session}` } });
  return { port: (await system.udpPorts()).turn!, username, credential, uris };
}

/** So long an answer on loopback may take. */
const ANSWER_MS = 5000;

/** A TURN client over UDP with one allocation, as small as a test needs it (RFC 8656). */
export class TurnClient {
  readonly #socket: Socket;
  readonly #account: TurnAccount;
  #realm = '';
  #nonce = '';
  #allocated = false;

  private constructor(socket: Socket, account: TurnAccount) {
    this.#socket = socket;
    this.#account = account;
  }

  static async open(account: TurnAccount): Promise<TurnClient> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new TurnClient(socket, account);
  }

  /** The relayed address. */
  async allocate(): Promise<SocketAddress> {
    const transport = (writer: StunWriter) => writer.u32(StunAttribute.requestedTransport, 17 << 24);
    const challenge = await this.#exchange(StunMethod.allocate, transport);
    if (challenge.errorCode()?.code !== 401) throw new Error('the first Allocate was not challenged');
    this.#realm = challenge.text(StunAttribute.realm)!;
    this.#nonce = challenge.text(StunAttribute.nonce)!;
    const made = await this.#request(StunMethod.allocate, transport);
    this.#allocated = true;
    return made.xorAddress(StunAttribute.xorRelayedAddress)!;
  }

  async permit(peer: SocketAddress): Promise<void> {
    await this.#request(StunMethod.createPermission, (w) => w.xorAddress(StunAttribute.xorPeerAddress, peer));
  }

  /** Sends `data` to the peer through the relay and answers what comes back from it. */
  async roundTrip(peer: SocketAddress, data: Uint8Array): Promise<Uint8Array> {
    const send = new StunWriter(new Uint8Array(1800)).start(StunClass.indication, StunMethod.send, transactionId());
    send.xorAddress(StunAttribute.xorPeerAddress, peer).bytes(StunAttribute.data, data);
    const back = this.#next((message) => message.class === StunClass.indication);
    this.sendRaw(send.message());
    return (await back).attribute(StunAttribute.data)!;
  }

  /** Any bytes from the address that holds the allocation. */
  sendRaw(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.#account.port, '127.0.0.1');
  }

  async giveBack(): Promise<void> {
    this.#allocated = false;
    await this.#request(StunMethod.refresh, (writer) => writer.u32(StunAttribute.lifetime, 0));
  }

  /** Ends everything; an allocation that was not given back because a test failed is not left to the next one. */
  async close(): Promise<void> {
    if (this.#allocated) await this.giveBack().catch(() => {});
    this.#socket.close();
  }

  async #request(method: number, write: (writer: StunWriter) => unknown): Promise<StunMessage> {
    const { username, credential } = this.#account;
    const answer = await this.#exchange(method, (writer) => {
      write(writer);
      writer
        .text(StunAttribute.username, username)
        .text(StunAttribute.realm, this.#realm)
        .text(StunAttribute.nonce, this.#nonce)
        .integrity(longTermKey(username, this.#realm, credential, nodeCrypto), nodeCrypto);
    });
    const error = answer.errorCode();
    if (error) throw new Error(`TURN method ${method} was answered by ${error.code} ${error.reason}`);
    return answer;
  }

  #exchange(method: number, write: (writer: StunWriter) => unknown): Promise<StunMessage> {
    const id = transactionId();
    const writer = new StunWriter(new Uint8Array(1800)).start(StunClass.request, method, id);
    write(writer);
    const answer = this.#next((message) => Buffer.from(message.transactionId).equals(id));
    this.sendRaw(writer.message());
    return answer;
  }

  /** The next STUN message that `wanted` takes. */
  #next(wanted: (message: StunMessage) => boolean): Promise<StunMessage> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#socket.off('message', check);
      };
      const check = (bytes: Buffer, _from: RemoteInfo) => {
        const message = decodeStun(bytes);
        if (!message || !wanted(message)) return;
        done();
        resolve(message);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`the TURN server did not answer within ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      this.#socket.on('message', check);
    });
  }
}

function transactionId(): Buffer {
  return Buffer.from(nodeCrypto.randomBytes(12));
}
