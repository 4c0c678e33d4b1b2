import {
  decodeStun,
  longTermKey,
  type SocketAddress,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
  writeChannelHeader,
} from '@offhook/core';
import { nodeCrypto, openUdpPort, UdpEndpoint, type UdpPort } from '@offhook/core/node';
import type { TurnAccount } from '../turn-client.ts';

const CHANNEL = 0x4000;
const CHANNEL_HEADER = 4;
/** A voice packet. */
const PAYLOAD = 172;
/** A client asks again after that long; the request may have been lost. */
const AGAIN_MS = 500;
const TRIES = 20;

/** A TURN client that counts what it sends and gets over its channel, cheap enough to have hundreds of (RFC 8656). */
export class RelayUser {
  sent = 0;
  received = 0;
  readonly #port: UdpPort;
  readonly #server: UdpEndpoint;
  readonly #account: TurnAccount;
  readonly #waiting = new Map<string, (message: StunMessage) => void>();
  #realm = '';
  #nonce = '';

  private constructor(port: UdpPort, account: TurnAccount) {
    this.#port = port;
    this.#account = account;
    this.#server = UdpEndpoint.from({ address: '127.0.0.1', port: account.port })!;
    port.onReadable = () => this.#read();
  }

  static async open(account: TurnAccount): Promise<RelayUser> {
    return new RelayUser(await openUdpPort({ address: '127.0.0.1', port: 0, burst: 'few' }), account);
  }

  /** The relayed address. */
  async allocate(): Promise<SocketAddress> {
    const transport = (writer: StunWriter) => writer.u32(StunAttribute.requestedTransport, 17 << 24);
    const challenge = await this.#exchange(StunMethod.allocate, transport);
    this.#realm = challenge.text(StunAttribute.realm) ?? '';
    this.#nonce = challenge.text(StunAttribute.nonce) ?? '';
    const made = await this.request(StunMethod.allocate, transport);
    const relayed = made.xorAddress(StunAttribute.xorRelayedAddress);
    if (!relayed) throw new Error(`Allocate was answered by ${made.errorCode()?.code}`);
    return relayed;
  }

  async bind(peer: SocketAddress): Promise<void> {
    const answer = await this.request(StunMethod.channelBind, (writer) =>
      writer.u32(StunAttribute.channelNumber, CHANNEL * 65_536).xorAddress(StunAttribute.xorPeerAddress, peer),
    );
    if (answer.class !== StunClass.success) throw new Error(`ChannelBind was answered by ${answer.errorCode()?.code}`);
  }

  /** A signed request; a stale nonce is replaced. */
  async request(method: number, write: (writer: StunWriter) => unknown = () => {}): Promise<StunMessage> {
    const { username, credential } = this.#account;
    const signed = () =>
      this.#exchange(method, (writer) => {
        write(writer);
        writer
          .text(StunAttribute.username, username)
          .text(StunAttribute.realm, this.#realm)
          .text(StunAttribute.nonce, this.#nonce)
          .integrity(longTermKey(username, this.#realm, credential, nodeCrypto), nodeCrypto);
      });
    const answer = await signed();
    if (answer.errorCode()?.code !== 438) return answer;
    this.#nonce = answer.text(StunAttribute.nonce)!;
    return signed();
  }

  /** One voice packet over the channel. */
  send(): void {
    const { rx } = this.#port;
    const offset = this.#port.reserve();
    writeChannelHeader(rx.bytes, offset, CHANNEL, PAYLOAD);
    this.#port.stage(offset, CHANNEL_HEADER + PAYLOAD, this.#server);
    this.sent++;
  }

  close(): void {
    this.#port.close();
  }

  #read(): void {
    const { rx } = this.#port;
    const n = this.#port.fill();
    for (let i = 0; i < n; i++) {
      const at = rx.offset[i]!;
      if (rx.bytes[at]! >> 6 === 1) this.received++;
      else {
        const message = decodeStun(rx.bytes.slice(at, at + rx.length[i]!));
        if (message) this.#waiting.get(Buffer.from(message.transactionId).toString('hex'))?.(message);
      }
    }
  }

  async #exchange(method: number, write: (writer: StunWriter) => unknown): Promise<StunMessage> {
    const id = nodeCrypto.randomBytes(12).slice();
    const writer = new StunWriter(new Uint8Array(1200)).start(StunClass.request, method, id);
    write(writer);
    const bytes = writer.message();
    const key = Buffer.from(id).toString('hex');
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<StunMessage>((resolve, reject) => {
        this.#waiting.set(key, resolve);
        let tries = 0;
        const attempt = () => {
          if (++tries > TRIES) reject(new Error(`the TURN server did not answer method ${method}`));
          else this.#port.send(bytes, this.#server);
        };
        attempt();
        timer = setInterval(attempt, AGAIN_MS);
      });
    } finally {
      clearInterval(timer);
      this.#waiting.delete(key);
    }
  }
}
