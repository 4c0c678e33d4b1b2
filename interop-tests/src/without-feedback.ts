import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const LOOPBACK = '127.0.0.1';

/** One SIP message that has passed, as its first line and method tell, and when. */
interface Passed {
  readonly to: 'phone' | 'server';
  readonly text: string;
  readonly atMs: number;
}

/**
 * Between a phone over UDP and the server: takes RTCP feedback out of the phone's descriptions, as if it knew none, and leads its pictures past
 * here, so that no RTCP about them reaches it: whatever it does it does for what SIP has told it.
 */
export class WithoutFeedback implements AsyncDisposable {
  readonly sip: Passed[] = [];
  /** When each VP8 key frame of the phone's began. */
  readonly keyFramesMs: number[] = [];
  /** Requests for a key frame by RTCP (PLI) that were kept from the phone. */
  plis = 0;
  readonly #ports: number;
  readonly #sockets: Socket[] = [];
  #phone: number | undefined;
  /** Where its pictures and those for it really go. */
  #phonesVideo = 0;
  #relaysVideo = 0;

  private constructor(ports: number) {
    this.#ports = ports;
  }

  /** @param ports the first, an even one, of six in a row that are free */
  static async open(ports: number, serverPort: number): Promise<WithoutFeedback> {
    const self = new WithoutFeedback(ports);
    const [toRelay, keptRtcp, toPhone] = [await self.#bind(0), await self.#bind(1), await self.#bind(2)];
    await self.#bind(3); // what the phone reports of pictures is kept too
    const [sipPhone, sipServer] = [await self.#bind(4), await self.#bind(5)];
    toRelay.on('message', (bytes) => toPhone.send(bytes, self.#phonesVideo, LOOPBACK));
    toPhone.on('message', (bytes) => {
      if (beginsKeyFrame(bytes)) self.keyFramesMs.push(performance.now());
      toRelay.send(bytes, self.#relaysVideo, LOOPBACK);
    });
    keptRtcp.on('message', (bytes) => {
      if (hasPli(bytes)) self.plis++;
    });
    sipPhone.on('message', (bytes, from) => {
      self.#phone = from.port;
      sipServer.send(self.#pass('server', bytes), serverPort, LOOPBACK);
    });
    sipServer.on('message', (bytes) => {
      if (self.#phone !== undefined) sipPhone.send(self.#pass('phone', bytes), self.#phone, LOOPBACK);
    });
    return self;
  }

  /** Where the phone registers. */
  get server(): string {
    return `${LOOPBACK}:${this.#ports + 4}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => new Promise<void>((done) => socket.close(() => done()))));
  }

  async #bind(nth: number): Promise<Socket> {
    const socket = createSocket('udp4').bind(this.#ports + nth, LOOPBACK);
    socket.on('error', () => {});
    await once(socket, 'listening');
    this.#sockets.push(socket);
    return socket;
  }

  #pass(to: Passed['to'], bytes: Buffer): Buffer {
    const text = bytes.toString('latin1');
    this.sip.push({ to, text, atMs: performance.now() });
    const end = text.indexOf('\r\n\r\n') + 4;
    if (!/^content-type: *application\/sdp/im.test(text.slice(0, end))) return bytes;
    const [own, real] = to === 'server' ? [this.#ports, '#phonesVideo'] : [this.#ports + 2, '#relaysVideo'];
    const sdp = text
      .slice(end)
      .replace(/^a=rtcp-fb:.*\r\n/gm, to === 'server' ? '' : '$&')
      .replace(/^a=rtcp:.*\r\n/gm, '')
      .replace(/^(m=video )(\d+)/m, (line, head: string, port: string) => {
        if (port === '0') return line;
        if (real === '#phonesVideo') this.#phonesVideo = Number(port);
        else this.#relaysVideo = Number(port);
        return `${head}${own}`;
      });
    const head = text.slice(0, end).replace(/^(content-length: *)\d+/im, `$1${sdp.length}`);
    return Buffer.from(head + sdp, 'latin1');
  }
}

/** RFC 7741 4.2, 4.3: the first packet of a frame's first partition, and its P bit. */
function beginsKeyFrame(rtp: Buffer): boolean {
  const [first = 0] = rtp;
  let at = 12 + 4 * (first & 0x0f);
  if (first & 0x10) at += 4 + 4 * rtp.readUInt16BE(at + 2);
  const descriptor = rtp[at++] ?? 0;
  if ((descriptor & 0x17) !== 0x10) return false; // S, and partition 0
  if (descriptor & 0x80) {
    const extension = rtp[at++] ?? 0;
    if (extension & 0x80) at += (rtp[at] ?? 0) & 0x80 ? 2 : 1;
    if (extension & 0x40) at++;
    if (extension & 0x30) at++;
  }
  return at < rtp.length && (rtp[at]! & 1) === 0;
}

/** RFC 4585 6.3.1, in a compound (RFC 3550 6.1). */
function hasPli(rtcp: Buffer): boolean {
  for (let at = 0; at + 4 <= rtcp.length; at += 4 + 4 * rtcp.readUInt16BE(at + 2))
    if (rtcp[at + 1] === 206 && (rtcp[at]! & 0x1f) === 1) return true;
  return false;
}
