import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** What waits longer than this in front of the line is lost, as in the buffer of an access line. */
const QUEUE_MS = 300;
const LOOPBACK = '127.0.0.1';
const TRIES = 50;

/**
 * A line between one SIP phone over UDP and everybody else, for the pictures of one call: it stands in the server's place for the
 * phone, and writes ports of its own into the descriptions of video that pass. Towards the phone pictures go only as fast as
 * `downBps`; what goes the other way, and RTCP, isn't held up.
 */
export class PhoneLine {
  /** Bits a second towards the phone. */
  downBps = Number.POSITIVE_INFINITY;
  /** Pictures towards the phone, and those of them that found no room. */
  passed = 0;
  dropped = 0;
  readonly #sip = { phone: createSocket('udp4'), server: createSocket('udp4') };
  readonly #phone: Door;
  readonly #relay: Door;
  #freeAtMs = 0;

  private constructor(phone: Door, relay: Door) {
    this.#phone = phone;
    this.#relay = relay;
  }

  static async open(serverPort: number): Promise<PhoneLine> {
    const line = new PhoneLine(await Door.open(), await Door.open());
    await line.#start(serverPort);
    return line;
  }

  /** Where the phone finds the server. */
  get port(): number {
    return this.#sip.phone.address().port;
  }

  close(): void {
    const { phone, server } = this.#sip;
    for (const socket of [phone, server, ...this.#phone.sockets, ...this.#relay.sockets]) socket.close();
  }

  async #start(serverPort: number): Promise<void> {
    const { phone, server } = this.#sip;
    await Promise.all([bind(phone, 0), bind(server, 0)]);
    let phonePort = 0;
    phone.on('message', (bytes, from) => {
      phonePort = from.port;
      server.send(this.#phone.write(bytes), serverPort, LOOPBACK);
    });
    server.on('message', (bytes) => phone.send(this.#relay.write(bytes), phonePort, LOOPBACK));
    for (const i of [0, 1] as const) {
      const [toPhone, toRelay] = [this.#relay.sockets[i], this.#phone.sockets[i]];
      toRelay.on('message', (bytes) => {
        const send = () => toPhone.send(bytes, this.#phone.port + i, LOOPBACK);
        if (i === 0) this.#down(bytes.length, send);
        else send();
      });
      toPhone.on('message', (bytes) => toRelay.send(bytes, this.#relay.port + i, LOOPBACK));
    }
  }

  /** Each picture packet leaves when the line has carried those before it. */
  #down(length: number, send: () => void): void {
    const nowMs = performance.now();
    const waitMs = Math.max(0, this.#freeAtMs - nowMs);
    this.passed++;
    if (waitMs > QUEUE_MS) {
      this.dropped++;
      return;
    }
    const takesMs = ((length + 28) * 8000) / this.downBps; // with its IP and UDP headers
    this.#freeAtMs = nowMs + waitMs + takesMs;
    if (waitMs + takesMs < 1) send();
    else setTimeout(send, waitMs + takesMs);
  }
}

/** The ports, for RTP and RTCP, that one side is described by to the other one. */
class Door {
  readonly sockets: readonly [Socket, Socket];
  /** The side's own port of video. */
  port = 0;

  private constructor(sockets: readonly [Socket, Socket]) {
    this.sockets = sockets;
  }

  static async open(): Promise<Door> {
    for (let i = 0; i < TRIES; i++) {
      const pair = [createSocket('udp4'), createSocket('udp4')] as const;
      await bind(pair[0], 0);
      const { port } = pair[0].address();
      if (port % 2 === 0 && (await isBound(pair[1], port + 1))) return new Door(pair);
      pair[0].close();
      if (port % 2 === 0) continue; // a socket that couldn't be bound is closed already
      pair[1].close();
    }
    throw new Error('no two ports in a row are free');
  }

  /** A SIP message of that side. All ports have five digits, so that its length stays. */
  write(bytes: Uint8Array): Uint8Array {
    const text = Buffer.from(bytes).toString('latin1');
    const at = text.indexOf('\r\nm=video ');
    const own = Number(/^\r\nm=video (\d{5}) /.exec(text.slice(Math.max(0, at)))?.[1] ?? 0);
    if (at < 0 || own === 0) return bytes;
    this.port = own;
    const shift = this.sockets[0].address().port - own;
    const media = text
      .slice(at)
      .replace(/(\r\nm=video |\r\na=rtcp:)(\d{5})/g, (_, head: string, port) => head + String(Number(port) + shift));
    return Buffer.from(text.slice(0, at) + media, 'latin1');
  }
}

async function bind(socket: Socket, port: number): Promise<void> {
  socket.bind(port, LOOPBACK);
  await once(socket, 'listening');
}

async function isBound(socket: Socket, port: number): Promise<boolean> {
  return bind(socket, port).then(
    () => true,
    () => false,
  );
}
