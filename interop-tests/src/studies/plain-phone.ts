import { readU32, rtpSequence, writeU32 } from '@offhook/core';
import { openUdpPort, UdpEndpoint, type UdpPort } from '@offhook/core/node';

const RTP_BYTES = 172;
const TICKS = 160;

/** One side of a call that speaks plain RTP, and looks at each packet that comes. */
export class PlainPhone {
  readonly ssrc: number;
  readonly #port: UdpPort;
  #to: UdpEndpoint | undefined;
  #sequence = 1;
  sent = 0;
  received = 0;
  /** Packets that are not the far side's, or that came twice or out of order. */
  strange = 0;
  #lastHeard = 0;
  /** Whose packets it expects. */
  far = 0;

  private constructor(port: UdpPort, ssrc: number) {
    this.#port = port;
    this.ssrc = ssrc;
    port.onReadable = () => this.#read();
  }

  static async open(address: string, ssrc: number): Promise<PlainPhone> {
    return new PlainPhone(await openUdpPort({ address, port: 0, burst: 'few' }), ssrc);
  }

  get sdp(): string {
    const { address, port } = this.#port.local;
    const lines = [
      'v=0',
      `o=- 1 1 IN IP4 ${address}`,
      's=-',
      `c=IN IP4 ${address}`,
      't=0 0',
      `m=audio ${port} RTP/AVP 0`,
    ];
    return `${lines.join('\r\n')}\r\n`;
  }

  /** What the relay has told this side: its media goes there. */
  follow(sdp: string): number {
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
    this.#to = UdpEndpoint.from({ address: /^c=IN IP4 (\S+)/m.exec(sdp)![1]!, port });
    return port;
  }

  send(): void {
    if (!this.#to) return;
    const offset = this.#port.reserve();
    const { bytes } = this.#port.rx;
    bytes.fill(0, offset, offset + RTP_BYTES);
    bytes[offset] = 0x80;
    bytes[offset + 2] = this.#sequence >> 8;
    bytes[offset + 3] = this.#sequence & 255;
    writeU32(bytes, offset + 4, (this.#sequence * TICKS) >>> 0);
    writeU32(bytes, offset + 8, this.ssrc);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    if (this.#port.stage(offset, RTP_BYTES, this.#to)) this.sent++;
  }

  close(): void {
    this.#port.close();
  }

  #read(): void {
    const n = this.#port.fill();
    const { bytes, offset, length } = this.#port.rx;
    for (let i = 0; i < n; i++) {
      const at = offset[i]!;
      const sequence = rtpSequence(bytes, at);
      const isNext = sequence === ((this.#lastHeard + 1) & 0xffff);
      if (length[i] !== RTP_BYTES || readU32(bytes, at + 8) !== this.far || !isNext) this.strange++;
      else this.received++;
      this.#lastHeard = sequence;
    }
  }
}
