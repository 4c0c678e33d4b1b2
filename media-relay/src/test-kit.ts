import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import {
  type SocketAddress,
  StunAttribute,
  StunClass,
  StunMethod,
  StunWriter,
  shortTermKey,
  writeRtpHeader,
} from '@offhook/core';
import { monotonicMs, nodeCrypto } from '@offhook/core/node';
import { type DtlsCertificate, DtlsEndpoint } from './dtls/index.ts';
import { SrtpContext, type SrtpTransform } from './srtp/index.ts';

export { NgClient } from '@offhook/core/node';

/** A UDP socket of a test's peer: what comes is queued and awaited with a deadline. */
export class Peer {
  readonly socket: Socket;
  readonly #queue: Uint8Array[] = [];
  #wakers: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.unref(); // a failed test must not keep the run from ending
    socket.on('message', (bytes) => {
      this.#queue.push(bytes);
      for (const wake of this.#wakers.splice(0)) wake();
    });
  }

  static open(address = '127.0.0.1', port = 0): Promise<Peer> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, () => resolve(new Peer(socket)));
    });
  }

  get at(): SocketAddress {
    return this.socket.address();
  }

  send(bytes: Uint8Array, to: SocketAddress): void {
    this.socket.send(bytes, to.port, to.address);
  }

  /** The next datagram; undefined after `waitMs`. */
  next(waitMs = 2000): Promise<Uint8Array | undefined> {
    return this.nextIn(0, 255, waitMs);
  }

  /** The next datagram whose first byte lies in the range; others stay. */
  async nextIn(low: number, high: number, waitMs = 2000): Promise<Uint8Array | undefined> {
    const until = monotonicMs() + waitMs;
    for (;;) {
      const at = this.#queue.findIndex((bytes) => bytes[0]! >= low && bytes[0]! <= high);
      if (at >= 0) return this.#queue.splice(at, 1)[0];
      const left = until - monotonicMs();
      if (left <= 0) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wakers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  get waiting(): number {
    return this.#queue.length;
  }

  close(): Promise<void> {
    return new Promise((done) => this.socket.close(() => done()));
  }
}

/** A value of an SDP by the start of its line. */
export function line(sdp: string, start: string): string {
  const found = sdp.split('\r\n').find((l) => l.startsWith(start));
  if (found === undefined) throw new Error(`no line ${start}`);
  return found.slice(start.length);
}

/** Where the first media section of an SDP wants its packets. */
export function mediaAt(sdp: string): SocketAddress {
  return { address: line(sdp, 'c=IN IP4 '), port: Number(line(sdp, 'm=').split(' ')[1]) };
}

/** Until a thing in this process is true; two seconds at the most. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(condition());
}

/** A phone's description of one stream of plain RTP at the peer's port. */
export function sdpOf(peer: Peer, kind: 'audio' | 'video', formats: string, lines: string[]): string {
  return describe(peer.at, kind, formats, lines);
}

/** A phone's description: PCMU and telephone-event, at the peer's port. */
export function plainSdp(peer: Peer, extra: string[] = [], address = peer.at.address): string {
  return describe({ address, port: peer.at.port }, 'audio', '0 101', extra);
}

function describe({ address, port }: SocketAddress, kind: string, formats: string, lines: string[]): string {
  const session = ['v=0', 'o=- 7 7 IN IP4 127.0.0.1', 's=-', `c=IN IP4 ${address}`, 't=0 0'];
  return [...session, `m=${kind} ${port} RTP/AVP ${formats}`, ...lines, 'a=sendrecv', ''].join('\r\n');
}

/** A browser's description of pictures in payload type 96, with RTX in 97. */
export function videoSdp(peer: WebRtcPeer, setup: 'actpass' | 'active', lines: string[]): string {
  return peer
    .sdp(setup)
    .replace('m=audio 9 UDP/TLS/RTP/SAVPF 111 0', 'm=video 9 UDP/TLS/RTP/SAVPF 96 97')
    .replace(/a=rtpmap:111[\s\S]*PCMU\/8000/, [...lines, 'a=rtpmap:97 rtx/90000', 'a=fmtp:97 apt=96'].join('\r\n'));
}

/** An RTP packet with a payload of `fill` bytes. */
export function rtp(options: {
  ssrc: number;
  sequence: number;
  timestamp?: number;
  payloadType?: number;
  fill?: number;
  length?: number;
}): Uint8Array {
  const { ssrc, sequence, timestamp = sequence * 160, payloadType = 0, fill = 0x55, length = 160 } = options;
  const bytes = new Uint8Array(12 + length + 32).fill(fill);
  writeRtpHeader(bytes, 0, { payloadType, sequence, timestamp, ssrc, marker: false });
  return bytes.subarray(0, 12 + length);
}

/** RTCP where both come to one port (RFC 5761 4): packet types 192 to 223. */
export const isRtcp = (bytes: Uint8Array): boolean => bytes[1]! >= 192 && bytes[1]! <= 223;

/** The browser's side: a full ICE agent's checks, DTLS as client or server, SRTP. */
export class WebRtcPeer {
  readonly peer: Peer;
  readonly ufrag = 'peerUfrag';
  readonly pwd = 'peerpwdpeerpwdpeerpwd22';
  readonly certificate: DtlsCertificate;
  remote = { ufrag: '', pwd: '', at: { address: '', port: 0 } };
  rx: SrtpTransform | undefined;
  tx: SrtpTransform | undefined;
  failure: string | undefined;

  private constructor(peer: Peer, certificate: DtlsCertificate) {
    this.peer = peer;
    this.certificate = certificate;
  }

  static async open(certificate: DtlsCertificate): Promise<WebRtcPeer> {
    return new WebRtcPeer(await Peer.open(), certificate);
  }

  sdp(setup: 'actpass' | 'active' | 'passive', fingerprint = this.certificate.fingerprint): string {
    return [
      'v=0',
      'o=- 1 1 IN IP4 127.0.0.1',
      's=-',
      't=0 0',
      'a=group:BUNDLE 0',
      'm=audio 9 UDP/TLS/RTP/SAVPF 111 0',
      'c=IN IP4 0.0.0.0',
      'a=mid:0',
      'a=rtcp-mux',
      `a=ice-ufrag:${this.ufrag}`,
      `a=ice-pwd:${this.pwd}`,
      `a=fingerprint:${fingerprint}`,
      `a=setup:${setup}`,
      'a=rtpmap:111 opus/48000/2',
      'a=rtpmap:0 PCMU/8000',
      'a=sendrecv',
      '',
    ].join('\r\n');
  }

  /** Learns the relay's side from its SDP. */
  learn(sdp: string): void {
    this.remote = { ufrag: line(sdp, 'a=ice-ufrag:'), pwd: line(sdp, 'a=ice-pwd:'), at: mediaAt(sdp) };
  }

  /** Follows the relay's SDP as the controlling agent and the DTLS client, until packets may go. */
  async join(sdp: string): Promise<void> {
    this.learn(sdp);
    assert.equal(await this.check(), 0x0101);
    assert.ok(await this.handshake('client'), this.failure);
  }

  /** One connectivity check as bytes; `change` for hostile ones. */
  checkBytes(
    change: { pwd?: string; username?: string; nominate?: boolean; controlled?: boolean; extra?: number } = {},
  ): Uint8Array {
    const writer = new StunWriter(new Uint8Array(300));
    writer
      .start(StunClass.request, StunMethod.binding, nodeCrypto.randomBytes(12))
      .text(StunAttribute.username, change.username ?? `${this.remote.ufrag}:${this.ufrag}`)
      .u32(StunAttribute.priority, 1);
    if (change.extra !== undefined) writer.u32(change.extra, 1);
    writer.u64(change.controlled ? StunAttribute.iceControlled : StunAttribute.iceControlling, 5n);
    if (change.nominate ?? true) writer.flag(StunAttribute.useCandidate);
    writer.integrity(shortTermKey(change.pwd ?? this.remote.pwd), nodeCrypto).fingerprint();
    return writer.message();
  }

  /** Sends a check and answers the reply's first two bytes: 0x0101 success, 0x0111 error. */
  async check(nominate = true): Promise<number | undefined> {
    this.peer.send(this.checkBytes({ nominate }), this.remote.at);
    const reply = await this.peer.nextIn(0, 3);
    return reply && (reply[0]! << 8) | reply[1]!;
  }

  /** Runs the handshake to its end; false when it failed or nothing came for a second. */
  async handshake(role: 'client' | 'server', waitMs = 2000): Promise<boolean> {
    const endpoint = new DtlsEndpoint({ role, certificate: this.certificate });
    try {
      endpoint.handleStart(monotonicMs());
      for (;;) {
        for (let c = endpoint.poll(); c; c = endpoint.poll()) {
          if (c.kind === 'send') this.peer.send(c.bytes, this.remote.at);
          else if (c.kind === 'connected') {
            this.rx = new SrtpContext(c.remote, 'unprotect');
            this.tx = new SrtpContext(c.local, 'protect');
          } else {
            this.failure = c.kind === 'failed' ? c.reason : 'closed';
            return false;
          }
        }
        if (this.tx) return true;
        const bytes = await this.peer.nextIn(20, 63, waitMs);
        if (!bytes) return false;
        endpoint.handlePacket(bytes, monotonicMs());
      }
    } finally {
      endpoint.close();
    }
  }

  sendRtp(packet: Uint8Array): void {
    const room = new Uint8Array(packet.length + 32);
    room.set(packet);
    const length = this.tx!.protect(room, 0, packet.length);
    this.peer.send(room.slice(0, length), this.remote.at);
  }

  /** The next RTP packet, decrypted; undefined when none comes or its tag is wrong. The relay's own reports are passed over. */
  async nextRtp(waitMs = 2000): Promise<Uint8Array | undefined> {
    let bytes = await this.peer.nextIn(128, 191, waitMs);
    while (bytes && isRtcp(bytes)) bytes = await this.peer.nextIn(128, 191, waitMs);
    if (!bytes) return undefined;
    const copy = Uint8Array.from(bytes);
    const length = this.rx!.unprotect(copy, 0, copy.length);
    return length < 0 ? undefined : copy.slice(0, length);
  }

  close(): Promise<void> {
    this.rx?.close();
    this.tx?.close();
    return this.peer.close();
  }
}
