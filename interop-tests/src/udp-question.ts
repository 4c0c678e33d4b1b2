import { createSocket } from 'node:dgram';

/** Sends one datagram to a port on loopback and waits for one back; undefined when none comes. */
export function askOnce(port: number, question: Uint8Array, waitMs: number): Promise<Uint8Array | undefined> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const end = (answer: Uint8Array | undefined) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end(undefined), waitMs);
    socket.once('error', () => end(undefined));
    socket.once('message', (answer) => end(answer));
    socket.send(question, port, '127.0.0.1');
  });
}
