import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { ByteAllowance } from './allowance.ts';
import { type EchoPort, type EchoPortOptions, FAREWELL_MS, HANDSHAKE_MS, listenTrouble } from './port.ts';

/** TCP and TLS: the bytes come back as they came (RFC 862), also those before the other side has ended its half. */
export async function listenStreams(options: EchoPortOptions): Promise<EchoPort> {
  const { scheme, certificate, counters } = options;
  const open = new Set<Socket>();
  const streams = new Set<Socket>();
  const carry = (stream: Socket) => {
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
    echoStream(stream, options);
  };
  const server =
    scheme === 'tls'
      ? createTlsServer({ ...certificate, allowHalfOpen: true, handshakeTimeout: HANDSHAKE_MS, noDelay: true })
      : createServer({ allowHalfOpen: true, noDelay: true });
  admitConnections(server, options, open);
  if (scheme === 'tls') {
    server.on('secureConnection', carry);
    server.on('tlsClientError', (_error: Error, stream: TLSSocket) => {
      counters.failed++;
      stream.destroy();
    });
  } else server.on('connection', carry);
  const farewell = () => {
    for (const stream of streams) stream.end();
  };
  return listening(server, options, { open, farewell });
}

/** Counts connections from before their handshake, and destroys those beyond the limits. Registered first. */
export function admitConnections(server: Server, options: EchoPortOptions, open: Set<Socket>): void {
  const { admissions, counters } = options;
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => socket.destroy());
    const release = admissions.admit(socket.remoteAddress ?? '');
    if (!release) {
      counters.refused++;
      socket.destroy();
      return;
    }
    counters.connections++;
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      release();
    });
  });
}

export interface Carried {
  readonly open: ReadonlySet<Socket>;
  /** Ends the connections in order; those that stay are cut. */
  readonly farewell: () => void;
}

/** Resolves when the server listens. */
export function listening(server: Server, options: EchoPortOptions, { open, farewell }: Carried): Promise<EchoPort> {
  const { at, scheme } = options;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenTrouble(scheme, at, error)));
    server.listen({ host: at.address, port: at.port, ipv6Only: true }, () => {
      server.removeAllListeners('error').on('error', () => {}); // no descriptors left: the next may be taken again
      const { port } = server.address() as { port: number };
      resolve({
        at: { address: at.address, port },
        close: async () => {
          const gone = [...open].map((socket) => once(socket, 'close'));
          const closed = new Promise<void>((done) => server.close(() => done()));
          farewell();
          const timer = setTimeout(() => {
            for (const socket of open) socket.destroy();
          }, FAREWELL_MS);
          await Promise.all([closed, ...gone]);
          clearTimeout(timer);
        },
      });
    });
  });
}

function echoStream(stream: Socket, { limits, counters, onPeer }: EchoPortOptions): void {
  if (stream.destroyed) return;
  const allowance = new ByteAllowance(limits.bytesPerS, performance.now());
  let timer: NodeJS.Timeout | undefined;
  let isFull = false;
  let isOver = false;
  const resume = () => {
    if (!isFull && timer === undefined) stream.resume();
  };
  const endWhenDue = () => {
    if (isOver && timer === undefined) stream.end();
  };
  onPeer(stream.remoteAddress ?? '');
  stream.setTimeout(limits.idleMs, () => {
    counters.idle++;
    stream.destroy();
  });
  stream.on('error', () => stream.destroy());
  stream.on('close', () => clearTimeout(timer));
  stream.on('data', (bytes: Buffer) => {
    counters.messages++;
    counters.bytes += bytes.length;
    isFull = !stream.write(bytes);
    const pauseMs = allowance.spend(bytes.length, performance.now());
    if (pauseMs > 0)
      timer ??= setTimeout(() => {
        timer = undefined;
        resume();
        endWhenDue();
      }, pauseMs);
    if (isFull || timer !== undefined) stream.pause();
  });
  stream.on('drain', () => {
    isFull = false;
    resume();
  });
  stream.on('end', () => {
    isOver = true;
    endWhenDue();
  });
}
