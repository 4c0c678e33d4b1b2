import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createTcp, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { StreamFramer } from '@offhook/core';
import { ScriptedServer } from './scripted-server.ts';

/** The scripted server on real sockets: UDP, TCP, and TLS when there is a certificate. */
export class ServerSockets implements AsyncDisposable {
  readonly server: ScriptedServer;
  readonly ports: { udp: number; tcp: number; tls: number } = { udp: 0, tcp: 0, tls: 0 };
  readonly #udp = createSocket('udp4');
  #isClosed = false;
  readonly #listening: Server[] = [];
  readonly #streams = new Map<string, Socket>();

  private constructor() {
    this.server = new ScriptedServer((to, bytes) => {
      const [transport, port] = to.split(' ');
      if (transport === 'udp') this.#udp.send(bytes, Number(port), '127.0.0.1');
      else this.#streams.get(to)?.write(bytes);
    });
  }

  static async open(tls?: { readonly key: string; readonly cert: string }): Promise<ServerSockets> {
    const all = new ServerSockets();
    all.#udp.on('message', (bytes, { port }) => all.server.handle(bytes, `udp ${port}`));
    all.#udp.bind(0, '127.0.0.1');
    await once(all.#udp, 'listening');
    all.ports.udp = all.#udp.address().port;
    all.ports.tcp = await all.#listen(createTcp((socket) => all.#carry(socket)));
    if (tls) all.ports.tls = await all.#listen(createTls(tls, (socket) => all.#carry(socket)));
    return all;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#streams.values()) socket.destroy();
  }

  /** As somebody else on this machine: a datagram from another port. */
  async stranger(to: number, bytes: Uint8Array): Promise<void> {
    const socket = createSocket('udp4');
    await new Promise((resolve) => socket.send(bytes, to, '127.0.0.1', resolve));
    socket.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#udp.close();
    this.cut();
    await Promise.all(this.#listening.map((one) => new Promise((resolve) => one.close(resolve))));
  }

  async #listen(server: Server): Promise<number> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#listening.push(server);
    return (server.address() as { port: number }).port;
  }

  #carry(socket: Socket): void {
    const key = `stream ${socket.remotePort}`;
    const framer = new StreamFramer();
    this.#streams.set(key, socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#streams.delete(key));
    socket.on('data', (chunk: Buffer) => {
      if (chunk[0] === 0x16) socket.destroy(); // a TLS ClientHello where none is wanted
      framer.push(chunk);
      for (let next = framer.next(); next !== undefined; next = framer.next())
        if (next instanceof Uint8Array) this.server.handle(next, key);
    });
  }
}
