import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { decode, encode, type Packet, type Resource } from 'dns-packet';

export type Answers = (query: Packet, over: 'udp' | 'tcp') => Packet | Buffer | undefined | (Packet | Buffer)[];

export const A = (name: string, data = '192.0.2.1', ttl = 60): Resource => ({ name, type: 'A', ttl, data });

/** A name server on 127.0.0.1, over UDP and TCP, that says what the test wants; undefined: nothing. */
export async function nameServer(t: TestContext, answers: Answers) {
  const queries: { query: Packet; over: 'udp' | 'tcp'; from: number }[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const say = (bytes: Buffer, how: { over: 'udp' | 'tcp'; from: number }): Buffer[] => {
    const query = decode(bytes);
    queries.push({ query, ...how });
    for (const { count, resolve } of waiting) if (queries.length >= count) resolve();
    const said = answers(query, how.over) ?? [];
    return [said].flat().map((packet) => {
      if (Buffer.isBuffer(packet)) return packet;
      const { id, questions } = query;
      return encode({ type: 'response', id, questions, ...packet });
    });
  };
  const udp = createSocket('udp4');
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  udp.on('message', (bytes, from) => {
    for (const answer of say(bytes, { over: 'udp', from: from.port })) udp.send(answer, from.port, from.address);
  });
  const { port } = udp.address();
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const answer of say(chunk.subarray(2), { over: 'tcp', from: socket.remotePort ?? 0 })) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        // In pieces, as networks deliver.
        socket.write(length.subarray(0, 1));
        setImmediate(() => socket.write(Buffer.concat([length.subarray(1), answer])));
      }
    });
  });
  tcp.listen(port, '127.0.0.1');
  await once(tcp, 'listening');
  t.after(async () => {
    udp.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => tcp.close(resolve));
  });
  const until = (count: number) => new Promise<void>((resolve) => waiting.push({ count, resolve }));
  /** All connections have been closed by the other side. */
  const left = async () => {
    const signal = AbortSignal.timeout(5000);
    await Promise.all([...sockets].map((socket) => socket.closed || once(socket, 'close', { signal })));
  };
  return { address: `127.0.0.1:${port}`, queries, until, left };
}
