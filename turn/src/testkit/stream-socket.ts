import type { Socket } from 'node:net';
import { StreamFramer } from '../shell/stream-framer.ts';
import { ReceiveQueue } from './receive-queue.ts';
import type { TestSocket } from './world.ts';

/** A connection as a client's socket: what it sends is padded (RFC 8656 12.5), what it receives is cut into messages. */
export function streamSocket(socket: Socket): TestSocket {
  const from = { address: socket.remoteAddress!, port: socket.remotePort! };
  const queue = new ReceiveQueue();
  const framer = new StreamFramer({
    message: (bytes, offset, length) => queue.push({ bytes: bytes.slice(offset, offset + length), from }),
    oversize: () => {},
  });
  socket.on('data', (chunk: Buffer) => framer.handle(chunk));
  socket.on('error', () => {});
  return {
    local: { address: socket.localAddress!, port: socket.localPort! },
    send: (bytes) => socket.write(padded(bytes)),
    receive: () => queue.receive(),
    close: () => socket.destroy(),
  };
}

/** A message as it is sent over a stream. */
export function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array((bytes.length + 3) & ~3);
  whole.set(bytes);
  return whole;
}
