import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { type SocketAddress, unmapped } from '@offhook/core';
import type { ServerCertificate } from '@offhook/core/node';
import type { TransportHub } from './hub.ts';
import { acceptStream, FAREWELL_MS, listenStreams, localOf } from './stream.ts';
import type { Listener } from './udp.ts';

export interface TlsEvents {
  /** A handshake that failed, or an alert of the peer afterwards, in words. */
  onTrouble(remote: SocketAddress, words: string): void;
  /** What became of the certificate that a client was asked for, in words. */
  onClientCertificate(remote: SocketAddress, words: string): void;
}

/**
 * SIP over TLS (RFC 3261 26.2). A connection counts and its time runs before its handshake; the handshake has to be done
 * within `messageMs`, and so has the first message after it.
 */
export async function listenTls(
  hub: TransportHub,
  at: SocketAddress,
  certificate: ServerCertificate,
  events: TlsEvents,
): Promise<Listener> {
  const sockets = new Map<string, { readonly socket: Socket; readonly carry: (stream: Socket) => void }>();
  // Node tells of the socket before the handshake and of the TLS stream after it; what they share is the peer.
  const peer = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
  const remoteOf = ({ remoteAddress, remotePort }: Socket): SocketAddress => ({
    address: unmapped(remoteAddress ?? ''),
    port: remotePort ?? 0,
  });
  const server = await listenStreams(hub, at, () => {
    const made = createServer({
      ...certificate.context('phones'),
      requestCert: certificate.asksClients,
      rejectUnauthorized: false, // what becomes of it is said in words; who calls is proven by digest
      handshakeTimeout: hub.limits.messageMs,
      noDelay: true,
      keepAlive: true,
    });
    made.on('connection', (socket: Socket) => {
      const key = peer(socket);
      const accepted = acceptStream(hub, socket, 'tls');
      if (!accepted) return;
      const entry = { socket, carry: accepted.carry };
      sockets.set(key, entry);
      socket.on('close', () => {
        if (sockets.get(key) === entry) sockets.delete(key); // its port may be used again already
      });
    });
    made.on('secureConnection', (stream) => {
      const remote = remoteOf(stream);
      stream.on('error', (error) => events.onTrouble(remote, handshakeWords(error)));
      const entry = sockets.get(peer(stream));
      if (!entry) {
        stream.destroy();
        return;
      }
      if (certificate.asksClients) events.onClientCertificate(remote, clientWords(stream));
      entry.carry(stream);
    });
    made.on('tlsClientError', (error, stream) => {
      hub.counters.handshakesFailed++;
      events.onTrouble(remoteOf(stream), handshakeWords(error));
      stream.destroy();
    });
    return made;
  });
  const stopFollowing = certificate.follow(() => {
    (server as ReturnType<typeof createServer>).setSecureContext(certificate.context('phones'));
  });
  return {
    local: localOf(server),
    close: () =>
      new Promise((resolve) => {
        stopFollowing();
        server.close(() => resolve());
        // The hub has told the streams to end; only what is left is cut.
        setTimeout(() => {
          for (const { socket } of sockets.values()) socket.destroy();
        }, FAREWELL_MS).unref();
      }),
  };
}

/** Why a handshake failed, for whoever set the phone up. OpenSSL's own words where there are none of ours. */
export function handshakeWords(error: Error & { code?: string }): string {
  const code = error.code ?? '';
  if (
    /UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNKNOWN_CERTIFICATE/.test(`${code} ${error.message}`.toUpperCase())
  )
    return 'the peer does not trust our certificate: give it the CA, or the name it connects to is not in the certificate';
  if (/CERTIFICATE_EXPIRED/i.test(code)) return 'the peer says that our certificate has expired: its clock, or ours';
  if (/UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|PROTOCOL_VERSION/.test(code))
    return 'the peer offers nothing newer than TLS 1.1; TLS 1.2 is the least we take';
  if (/NO_SHARED_CIPHER|HANDSHAKE_FAILURE|NO_SUITABLE_SIGNATURE|NO_SHARED_GROUP/.test(code))
    return 'the peer and we have no cipher in common (ECDHE with AES-GCM or ChaCha20 is wanted)';
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH|UNEXPECTED_MESSAGE|RECORD/.test(code))
    return 'the peer does not speak TLS on this port';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'the handshake took too long';
  if (code === 'ECONNRESET') return 'the peer hung up during the handshake; often it does not trust our certificate';
  return error.message;
}

function clientWords(stream: TLSSocket): string {
  const given = stream.getPeerCertificate();
  if (!given || Object.keys(given).length === 0) return 'the client gave no certificate';
  const name = String(given.subject?.CN ?? given.subject?.O ?? 'without a name').slice(0, 100);
  return stream.authorized
    ? `the client's certificate (${name}) is good`
    : `the client's certificate (${name}) is not good: ${stream.authorizationError}`;
}
