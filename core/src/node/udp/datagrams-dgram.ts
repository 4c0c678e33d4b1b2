import type { Socket, SocketOptions } from 'node:dgram';
import { type SocketAddress, unmapped } from '../../base/index.ts';
import { DATAGRAM_BUFFER, type DatagramSocket, type DatagramSocketOptions, LONGEST_DATAGRAM } from './datagrams.ts';
import { bindDgram } from './dgram-socket.ts';
import { UdpEndpoint } from './endpoint.ts';
import { Zones } from './zones.ts';

/** The `DatagramSocket` of systems without batched system calls: `node:dgram` behind the same contract. */
export async function openDgramDatagrams(options: DatagramSocketOptions): Promise<DatagramSocket> {
  const family = options.address.includes(':') ? 6 : 4;
  const size = options.buffer ?? DATAGRAM_BUFFER;
  // Only addresses are sent to: nothing has to be looked up, nor to wait for the next turn of the loop.
  const lookup: SocketOptions['lookup'] = (address, _options, done) => done(null, address, family);
  const at = { address: options.address, port: options.port, receiveBuffer: size, sendBuffer: size };
  const socket = await bindDgram({ type: family === 6 ? 'udp6' : 'udp4', lookup }, at);
  return new DgramDatagrams(socket, family);
}

class DgramDatagrams implements DatagramSocket {
  readonly implementation = 'dgram';
  readonly local: SocketAddress;
  onDatagram: DatagramSocket['onDatagram'];
  onSendErrors: DatagramSocket['onSendErrors'];
  readonly #socket: Socket;
  readonly #family: 4 | 6;
  readonly #zones = new Zones<string>();
  #inFlight = 0;
  #closed: (() => void) | undefined;

  constructor(socket: Socket, family: 4 | 6) {
    this.#socket = socket;
    this.#family = family;
    const { address, port } = socket.address();
    this.local = { address, port };
    socket.on('error', () => this.onSendErrors?.(1));
    socket.on('message', (bytes, { address, port }) => {
      const [plain = '', zone] = unmapped(address).split('%');
      const from = UdpEndpoint.from({ address: plain, port });
      if (!from || this.#closed) return;
      if (zone !== undefined) this.#zones.note(plain, zone);
      this.onDatagram?.(bytes, from);
    });
  }

  send(bytes: Uint8Array, to: UdpEndpoint): void {
    const { address, port } = to.toSocketAddress();
    const zone = this.#zones.of(address);
    const plain = to.family === 4 && this.#family === 6 ? `::ffff:${address}` : address;
    if (this.#closed || bytes.length > LONGEST_DATAGRAM || (to.family === 6 && this.#family === 4)) {
      this.onSendErrors?.(1);
      return;
    }
    this.#inFlight++;
    try {
      // A copy: the caller may use its bytes anew before the system has taken these.
      this.#socket.send(bytes.slice(), port, zone === undefined ? plain : `${plain}%${zone}`, (error) =>
        this.#sent(error),
      );
    } catch (error) {
      this.#sent(error as Error); // port 0: an argument error here, the system's EINVAL elsewhere
    }
  }

  #sent(error: Error | null): void {
    this.#inFlight--;
    if (error) this.onSendErrors?.(1);
    if (this.#inFlight === 0) this.#closed?.();
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#closed = () => {
        this.#closed = () => {};
        this.#socket.close(() => resolve());
      };
      if (this.#inFlight === 0) this.#closed();
    });
  }
}
