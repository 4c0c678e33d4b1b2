import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { decodeNg, encodeNg, type NgDictionary } from '@offhook/core';

/** A media relay that agrees to everything and carries nothing. */
export interface AgreeableRelay extends AsyncDisposable {
  /** As `media.relays` names it. */
  readonly address: string;
  /** What it was told of calls. */
  readonly told: readonly NgDictionary[];
  /** The next one who asks for events; only with `tellsEvents`. */
  subscriber(): Promise<Subscriber>;
}

/** A connection over which events were asked for. */
export interface Subscriber {
  readonly asked: NgDictionary;
  readonly closed: Promise<unknown>;
  tell(event: NgDictionary): void;
  /** Ends it, as a relay does that dies. */
  end(): void;
}

/** A description that passes anywhere. */
export const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

export async function startRelay({ tellsEvents = false } = {}): Promise<AgreeableRelay> {
  const socket = createSocket('udp4');
  const told: NgDictionary[] = [];
  const subscribers: Subscriber[] = [];
  const waiting: ((subscriber: Subscriber) => void)[] = [];
  const open = new Set<Socket>();
  const server = createServer((stream) => {
    open.add(stream);
    stream.on('error', () => {});
    stream.once('close', () => open.delete(stream));
    stream.once('data', (bytes) => {
      const { cookie, message } = decodeNg(bytes)!; // one short write on loopback
      const tell = (event: NgDictionary) => stream.write(encodeNg(cookie, event, 'bencode'));
      tell({ result: 'ok', kinds: message.kinds });
      const subscriber = { asked: message, closed: once(stream, 'close'), tell, end: () => stream.destroy() };
      const taker = waiting.shift();
      if (taker) taker(subscriber);
      else subscribers.push(subscriber);
    });
  });
  if (tellsEvents) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const pong: NgDictionary = {
    result: 'pong',
    'offhook-verbs': ['echo', 'connect', ...(tellsEvents ? ['events'] : [])],
    'offhook-tcp-port': tellsEvents ? (server.address() as AddressInfo).port : undefined,
  };
  socket.on('message', (bytes, from) => {
    const asked = decodeNg(bytes);
    if (!asked) return;
    if (asked.message.command !== 'ping') told.push(asked.message);
    const answer = asked.message.command === 'ping' ? pong : { result: 'ok', sdp: SDP };
    socket.send(encodeNg(asked.cookie, answer, 'bencode'), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `udp:127.0.0.1:${socket.address().port}`,
    told,
    subscriber: () => {
      const next = subscribers.shift();
      return next ? Promise.resolve(next) : new Promise((resolve) => waiting.push(resolve));
    },
    [Symbol.asyncDispose]: async () => {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
      if (!tellsEvents) return;
      for (const stream of open) stream.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
