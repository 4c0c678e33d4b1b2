import assert from 'node:assert/strict';
import {
  crc32,
  decodeStun,
  FINGERPRINT_XOR,
  longTermKey,
  longTermKeySha256,
  PasswordAlgorithm,
  type SocketAddress,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
  turnRestPassword,
  turnRestUsername,
  userHash,
  writeChannelHeader,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { REALM, type Received, SECRET, type TestSocket } from './world.ts';

/** Far enough for every clock of the tests; coturn 4.6 reads 32 bits with a sign. */
export const FAR = 2_100_000_000;

type Write = (writer: StunWriter) => unknown;

/** A TURN client, written against the RFC and not against the server's code paths. */
export class TestClient {
  readonly socket: TestSocket;
  readonly server: SocketAddress;
  username: string;
  secret: string;
  nonce = '';
  /** How it signs: as before RFC 8489, or by the password algorithm that it chooses of those offered. */
  algorithm: 'old' | 'md5' | 'sha256' = 'old';
  /** Shows USERHASH instead of its name. */
  isAnonymous = false;
  /** A stored user's; else it is made of the secret. */
  password: string | undefined;
  /** PASSWORD-ALGORITHMS of the challenge. */
  offered: Uint8Array | undefined;
  #transaction = 0;

  constructor(
    socket: TestSocket,
    server: SocketAddress,
    options: { readonly user?: string; readonly username?: string; readonly secret?: string } = {},
  ) {
    this.socket = socket;
    this.server = server;
    this.username = options.username ?? turnRestUsername(FAR, options.user ?? 'alice');
    this.secret = options.secret ?? SECRET;
  }

  get key(): Uint8Array {
    const password = this.password ?? turnRestPassword(this.secret, this.username, nodeCrypto);
    const toKey = this.algorithm === 'sha256' ? longTermKeySha256 : longTermKey;
    return toKey(this.username, REALM, password, nodeCrypto);
  }

  /** Twelve bytes that nobody used before. */
  transactionId(): Uint8Array {
    const id = new Uint8Array(12);
    new DataView(id.buffer).setUint32(8, ++this.#transaction);
    return id;
  }

  unsigned(method: number, write: Write = () => {}, id = this.transactionId()): Uint8Array {
    const writer = new StunWriter(new Uint8Array(1800)).start(StunClass.request, method, id);
    write(writer);
    return writer.message();
  }

  signed(method: number, write: Write = () => {}, id = this.transactionId()): Uint8Array {
    return this.unsigned(
      method,
      (writer) => {
        write(writer);
        if (this.isAnonymous) writer.bytes(StunAttribute.userhash, userHash(this.username, REALM, nodeCrypto));
        else writer.text(StunAttribute.username, this.username);
        writer.text(StunAttribute.realm, REALM).text(StunAttribute.nonce, this.nonce);
        if (this.algorithm === 'old') writer.integrity(this.key, nodeCrypto);
        else {
          const chosen = PasswordAlgorithm[this.algorithm];
          if (this.offered) writer.bytes(StunAttribute.passwordAlgorithms, this.offered);
          writer.bytes(StunAttribute.passwordAlgorithm, new Uint8Array([0, chosen, 0, 0]));
          writer.integritySha256(this.key, nodeCrypto);
        }
      },
      id,
    );
  }

  /** The same with FINGERPRINT behind it. */
  withFingerprint(message: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(message.length + 8);
    bytes.set(message);
    const view = new DataView(bytes.buffer);
    view.setUint16(2, bytes.length - 20);
    view.setUint32(message.length, (StunAttribute.fingerprint << 16) | 4);
    view.setUint32(message.length + 4, crc32(bytes, 0, message.length) ^ FINGERPRINT_XOR);
    return bytes;
  }

  /** Sends and expects an answer to just that. */
  async exchange(request: Uint8Array): Promise<StunMessage> {
    this.socket.send(request, this.server);
    const received = await this.socket.receive();
    assert.ok(received, 'no answer');
    assert.deepEqual(received.from, this.server);
    const answer = decodeStun(received.bytes);
    assert.ok(answer, 'not a STUN message');
    assert.deepEqual([...answer.transactionId], [...request.subarray(8, 20)]);
    return answer;
  }

  /** Asks for a nonce first where needed; signed answers are verified. */
  async request(method: number, write?: Write): Promise<StunMessage> {
    if (this.nonce === '') await this.challenge();
    const answer = await this.exchange(this.signed(method, write));
    if (this.algorithm === 'old') assert.equal(answer.hasIntegritySha256, false);
    if (answer.hasIntegrity) assert.ok(answer.verifyIntegrity(this.key, nodeCrypto));
    if (answer.hasIntegritySha256) assert.ok(answer.verifyIntegritySha256(this.key, nodeCrypto));
    return answer;
  }

  async challenge(): Promise<void> {
    const answer = await this.exchange(this.unsigned(StunMethod.allocate, transport));
    assert.equal(answer.errorCode()?.code, 401);
    this.nonce = answer.text(StunAttribute.nonce)!;
    this.offered = answer.attribute(StunAttribute.passwordAlgorithms);
  }

  /** The relayed address. */
  async allocate(write: Write = () => {}): Promise<SocketAddress> {
    const answer = await this.request(StunMethod.allocate, (writer) => {
      transport(writer);
      write(writer);
    });
    assert.equal(answer.errorCode(), undefined);
    assert.deepEqual(answer.xorAddress(StunAttribute.xorMappedAddress), this.socket.local);
    return answer.xorAddress(StunAttribute.xorRelayedAddress)!;
  }

  refresh(lifetimeS: number): Promise<StunMessage> {
    return this.request(StunMethod.refresh, (writer) => writer.u32(StunAttribute.lifetime, lifetimeS));
  }

  permit(...peers: readonly SocketAddress[]): Promise<StunMessage> {
    return this.request(StunMethod.createPermission, (writer) => {
      for (const peer of peers) writer.xorAddress(StunAttribute.xorPeerAddress, peer);
    });
  }

  bind(channel: number, peer: SocketAddress): Promise<StunMessage> {
    return this.request(StunMethod.channelBind, (writer) =>
      writer.u32(StunAttribute.channelNumber, channel * 65536).xorAddress(StunAttribute.xorPeerAddress, peer),
    );
  }

  send(peer: SocketAddress, data: Uint8Array, write: Write = () => {}): void {
    const writer = new StunWriter(new Uint8Array(1800))
      .start(StunClass.indication, StunMethod.send, this.transactionId())
      .xorAddress(StunAttribute.xorPeerAddress, peer)
      .bytes(StunAttribute.data, data);
    write(writer);
    this.socket.send(writer.message(), this.server);
  }

  sendChannel(channel: number, data: Uint8Array): void {
    const bytes = new Uint8Array(4 + data.length);
    writeChannelHeader(bytes, 0, channel, data.length);
    bytes.set(data, 4);
    this.socket.send(bytes, this.server);
  }
}

export function transport(writer: StunWriter): void {
  writer.u32(StunAttribute.requestedTransport, 17 << 24);
}

/** What an answer says: its error code, or 0. */
export function code(answer: StunMessage): number {
  return answer.errorCode()?.code ?? 0;
}

/** Reads a Data indication (RFC 8656 11.3). */
export function dataIndication(received: Received | undefined): { peer: SocketAddress; data: Uint8Array } {
  assert.ok(received, 'no Data indication');
  const message = decodeStun(received.bytes);
  assert.ok(message);
  assert.equal(message.class, StunClass.indication);
  assert.equal(message.method, StunMethod.data);
  return {
    peer: message.xorAddress(StunAttribute.xorPeerAddress)!,
    data: message.attribute(StunAttribute.data)!,
  };
}
