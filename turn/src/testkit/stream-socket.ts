import type { Socket } from 'node:net';
import { StreamFramer } from '../shell/stream-framer.ts';
import type { Received, TestSocket } from './world.ts';

/** Nothing on loopback takes longer. */
const PATIENCE_MS = 2000;

/** A connection as a client's socket: what it sends is padded (RFC 8656 12.5), what it receives is cut into messages. */
export function streamSocket(socket: Socket): TestSocket {
  const from = { address: socket.remoteAddress!, port: socket.remotePort! };
  const got: Received[] = [];
  let wake: (() => void) | undefined;
  const framer = new StreamFramer({
    message: (bytes, offset, length) => {
      got.push({ bytes: bytes.slice(offset, offset + length), from });
      wake?.();
    },
    oversize: () => {},
  });
  socket.on('data', (chunk: Buffer) => framer.handle(chunk));
  socket.on('error', () => {});
  return {
    local: { address: socket.localAddress!, port: socket.localPort! },
    send: (bytes) => {
      const padded = new Uint8Array((bytes.length + 3) & ~3);
      padded.set(bytes);
      socket.write(padded);
    },
    receive: async () => {
      if (got.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, PATIENCE_MS);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = undefined;
      }
      return got.shift();
    },
    close: () => socket.destroy(),
  };
}
