import { decodeStun, StunAttribute, StunClass, StunMethod, StunWriter, utf8 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { addressWord, type CrowdSocket, familyAndPort, SLOT_BYTES } from '../load/crowd-socket.ts';
import { CLIENT_NET, type Ends, HEADROOM, PEER_NET } from '../load/wire.ts';
import type { FlowTarget } from './requests.ts';

const AT_ONCE = 32;
const RETRANSMIT_MS = 200;
const PATIENCE_MS = 20_000;
const PRIORITY = 0x6e0001ff;

/**
 * Sends the connectivity checks of those flows that need them, each from its own address, until all are answered
 * (RFC 8445 7.2, with USE-CANDIDATE). @throws when one is refused or the relay doesn't answer
 */
export function checkConnectivity({ clients, peers }: Ends, flows: readonly FlowTarget[]): void {
  clients.layout(0, HEADROOM);
  peers.layout(0, HEADROOM);
  while (clients.fill() + peers.fill() > 0); // what a load has left
  const waiting = new Set(flows.flatMap(({ ice }, flow) => (ice ? [flow] : [])));
  const sentAt = new Map<number, number>();
  const began = performance.now();
  while (waiting.size > 0) {
    const now = performance.now();
    if (now - began > PATIENCE_MS) throw new Error(`the relay did not answer ${waiting.size} connectivity checks`);
    let count = 0;
    for (const flow of waiting) {
      if (now - (sentAt.get(flow) ?? 0) < RETRANSMIT_MS) continue;
      if (++count > AT_ONCE) break;
      sentAt.set(flow, now);
      transmit(flow % 2 === 0 ? clients : peers, flow, flows[flow]!);
    }
    clients.flush();
    peers.flush();
    for (const socket of [clients, peers]) {
      const n = socket.fill();
      for (let i = 0; i < n; i++) {
        const at = i * SLOT_BYTES + HEADROOM;
        const answer = decodeStun(socket.rx.bytes.slice(at, at + socket.length(i)));
        if (!answer) continue;
        if (answer.errorCode()) throw new Error(`a connectivity check was refused: ${answer.errorCode()?.code}`);
        waiting.delete(new DataView(answer.transactionId.slice().buffer).getUint32(0));
      }
    }
  }
}

function transmit(socket: CrowdSocket, flow: number, { port, ice }: FlowTarget): void {
  const id = new Uint8Array(12);
  new DataView(id.buffer).setUint32(0, flow);
  const message = new StunWriter(new Uint8Array(256))
    .start(StunClass.request, StunMethod.binding, id)
    .text(StunAttribute.username, `${ice!.ufrag}:${ice!.own}`)
    .u32(StunAttribute.priority, PRIORITY)
    .u64(StunAttribute.iceControlling, 1n)
    .flag(StunAttribute.useCandidate)
    .integrity(utf8(ice!.pwd), nodeCrypto)
    .fingerprint()
    .message();
  socket.tx.bytes.set(message, socket.next() * SLOT_BYTES);
  const net = flow % 2 === 0 ? CLIENT_NET : PEER_NET;
  socket.stage(addressWord(net, (flow >> 1) + 1), addressWord(0, 1), familyAndPort(port), message.length);
}
