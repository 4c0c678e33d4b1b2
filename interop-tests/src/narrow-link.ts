import { createSocket, type Socket } from 'node:dgram';
import type { Phone } from './browser.ts';

/** What waits longer than this in front of the link is lost, as in the buffer of an access line. */
const QUEUE_MS = 300;
const LOOPBACK = '127.0.0.1';

/**
 * A line between one browser and the media relay: a UDP port that passes everything on, towards the browser only as fast as
 * `downBps`. The browser is led to it by the candidates of the descriptions that its page is given.
 */
export class NarrowLink {
  /** Bits a second towards the browser. */
  downBps = Number.POSITIVE_INFINITY;
  /** Datagrams towards the browser, and those of them that found no room. */
  passed = 0;
  dropped = 0;
  readonly #relayPort: number;
  readonly #outer = createSocket('udp4');
  /** One towards the relay for each port of the browser. */
  readonly #inner = new Map<number, Socket>();
  #freeAtMs = 0;

  private constructor(relayPort: number) {
    this.#relayPort = relayPort;
    this.#outer.on('message', (bytes, { port }) => this.#towards(port).send(bytes, relayPort, LOOPBACK));
  }

  static async open(relayPort: number): Promise<NarrowLink> {
    const link = new NarrowLink(relayPort);
    await new Promise<void>((done, failed) => {
      link.#outer.once('error', failed);
      link.#outer.bind(0, LOOPBACK, done);
    });
    return link;
  }

  /** From its next page on this browser reaches the relay by this line alone. */
  lead(phone: Phone): Promise<unknown> {
    const ports = { relay: this.#relayPort, line: this.#outer.address().port };
    return phone.page.addInitScript(({ relay, line }) => {
      type Describe = (this: RTCPeerConnection, description: RTCSessionDescriptionInit) => Promise<void>;
      const original = RTCPeerConnection.prototype.setRemoteDescription as Describe;
      RTCPeerConnection.prototype.setRemoteDescription = function (description) {
        const lines = description.sdp?.split('\r\n') ?? [];
        const candidate = new RegExp(`^(a=candidate:.* 127\\.0\\.0\\.1) ${relay} `);
        const sdp = lines
          .filter((one) => !one.startsWith('a=candidate:') || candidate.test(one))
          .map((one) => one.replace(candidate, `$1 ${line} `))
          .join('\r\n');
        return original.call(this, { type: description.type, sdp });
      };
    }, ports);
  }

  close(): void {
    this.#outer.close();
    for (const socket of this.#inner.values()) socket.close();
  }

  #towards(port: number): Socket {
    let socket = this.#inner.get(port);
    if (!socket) {
      socket = createSocket('udp4');
      socket.on('message', (bytes) => this.#down(bytes, port));
      this.#inner.set(port, socket);
    }
    return socket;
  }

  /** Each datagram leaves when the line has carried those before it. */
  #down(bytes: Uint8Array, port: number): void {
    const nowMs = performance.now();
    const waitMs = Math.max(0, this.#freeAtMs - nowMs);
    this.passed++;
    if (waitMs > QUEUE_MS) {
      this.dropped++;
      return;
    }
    const takesMs = ((bytes.length + 28) * 8000) / this.downBps; // with its IP and UDP headers
    this.#freeAtMs = nowMs + waitMs + takesMs;
    if (waitMs + takesMs < 1) this.#outer.send(bytes, port, LOOPBACK);
    else setTimeout(() => this.#outer.send(bytes, port, LOOPBACK), waitMs + takesMs);
  }
}
