import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { decodeNg, encodeNg } from '@offhook/core';

/** A media relay that agrees to everything and carries nothing. */
export interface AgreeableRelay extends AsyncDisposable {
  /** As `media.relays` names it. */
  readonly address: string;
}

/** A description that passes anywhere. */
export const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

export async function startRelay(): Promise<AgreeableRelay> {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => {
    const asked = decodeNg(bytes);
    if (!asked) return;
    const answer =
      asked.message.command === 'ping'
        ? { result: 'pong', 'offhook-verbs': ['echo', 'connect'] }
        : { result: 'ok', sdp: SDP };
    socket.send(encodeNg(asked.cookie, answer, 'bencode'), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `udp:127.0.0.1:${socket.address().port}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}
