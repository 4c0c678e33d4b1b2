import {
  decodeStun,
  longTermKey,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
  turnRestPassword,
  turnRestUsername,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { addressWord, familyAndPort, SLOT_BYTES } from '../load/crowd-socket.ts';
import { CLIENT_NET, type Ends, hostAddress, PEER_NET } from '../load/wire.ts';
import type { Allocated, AllocateRequest } from './requests.ts';

/** Clients that are between their first request and their channel. */
const AT_ONCE = 64;
const RETRANSMIT_MS = 500;
const PATIENCE_MS = 90_000;
/** Clients of one user, below every quota. */
const CLIENTS_PER_USER = 8;
const CREDENTIALS_LIVE_S = 24 * 3600;
const CHANNEL = 0x4000;
const UDP = 17;

type Step = 'challenge' | 'allocate' | 'bind';
const STEPS: readonly Step[] = ['challenge', 'allocate', 'bind'];

interface Client {
  readonly index: number;
  readonly username: string;
  step: Step;
  sentAt: number;
  nonce: string;
  key: Uint8Array;
  realm: string;
}

/**
 * Makes allocations as a browser does, each from an address of its own: Allocate (401), Allocate with credentials,
 * ChannelBind to a peer of its own. Answers the relayed ports by client.
 * @throws when the server refuses or doesn't answer
 */
export function allocate(
  { clients: socket, peers, peerPort }: Ends,
  { count, serverPort, secret }: AllocateRequest,
): { ports: number[]; allocated: Allocated } {
  socket.layout(0, 0);
  while (socket.fill() + peers.fill() > 0); // what a load has left
  const ports: number[] = new Array<number>(count).fill(0);
  const session = nodeCrypto.randomBytes(4);
  const expiresAtS = Math.floor(Date.now() / 1000) + CREDENTIALS_LIVE_S;
  const running = new Map<number, Client>();
  const began = performance.now();
  let next = 0;
  let retransmissions = 0;

  const transmit = (client: Client): void => {
    client.sentAt = performance.now();
    const writer = new StunWriter(new Uint8Array(512));
    const id = new Uint8Array(12);
    id.set(session);
    new DataView(id.buffer).setUint32(4, client.index);
    id[11] = STEPS.indexOf(client.step);
    if (client.step === 'bind')
      writer
        .start(StunClass.request, StunMethod.channelBind, id)
        .u32(StunAttribute.channelNumber, CHANNEL * 65536)
        .xorAddress(StunAttribute.xorPeerAddress, { address: hostAddress(PEER_NET, client.index + 1), port: peerPort });
    else
      writer.start(StunClass.request, StunMethod.allocate, id).u32(StunAttribute.requestedTransport, UDP * 0x1000000);
    if (client.step !== 'challenge')
      writer
        .text(StunAttribute.username, client.username)
        .text(StunAttribute.realm, client.realm)
        .text(StunAttribute.nonce, client.nonce)
        .integrity(client.key, nodeCrypto);
    const message = writer.message();
    socket.tx.bytes.set(message, socket.next() * SLOT_BYTES);
    socket.stage(
      addressWord(CLIENT_NET, client.index + 1),
      addressWord(0, 1),
      familyAndPort(serverPort),
      message.length,
    );
  };
  const take = (client: Client, answer: StunMessage): void => {
    const error = answer.errorCode();
    if (error?.code === 401 && client.step === 'challenge') {
      client.realm = answer.text(StunAttribute.realm) ?? '';
      client.nonce = answer.text(StunAttribute.nonce) ?? '';
      const password = turnRestPassword(secret, client.username, nodeCrypto);
      client.key = longTermKey(client.username, client.realm, password, nodeCrypto);
      client.step = 'allocate';
    } else if (error) {
      throw new Error(`${client.step} of client ${client.index} was answered by ${error.code} ${error.reason}`);
    } else if (client.step === 'allocate') {
      ports[client.index] = answer.xorAddress(StunAttribute.xorRelayedAddress)?.port ?? 0;
      client.step = 'bind';
    } else {
      running.delete(client.index);
      return;
    }
    transmit(client);
  };

  while (next < count || running.size > 0) {
    while (next < count && running.size < AT_ONCE) {
      const username = turnRestUsername(expiresAtS, `u${Math.floor(next / CLIENTS_PER_USER)}`);
      const start = { step: 'challenge' as const, sentAt: 0, nonce: '', key: new Uint8Array(), realm: '' };
      const client: Client = { index: next++, username, ...start };
      running.set(client.index, client);
      transmit(client);
    }
    socket.flush();
    const n = socket.fill();
    for (let i = 0; i < n; i++) {
      const at = i * SLOT_BYTES;
      const answer = decodeStun(socket.rx.bytes.slice(at, at + socket.length(i)));
      if (!answer?.transactionId.subarray(0, 4).every((byte, b) => byte === session[b])) continue;
      const id = answer.transactionId;
      const client = running.get(((id[4]! << 24) | (id[5]! << 16) | (id[6]! << 8) | id[7]!) >>> 0);
      if (client && STEPS[id[11]!] === client.step) take(client, answer);
    }
    if (n > 0) continue;
    const now = performance.now();
    if (now - began > PATIENCE_MS) throw new Error(`the server did not answer ${running.size} clients`);
    for (const client of running.values()) {
      if (now - client.sentAt < RETRANSMIT_MS) continue;
      retransmissions++;
      transmit(client);
    }
  }
  const seconds = Number(((performance.now() - began) / 1000).toFixed(2));
  return { ports, allocated: { count, seconds, retransmissions } };
}
