import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type SocketAddress, socketKey } from '@offhook/core';
import { lateTrouble } from '@offhook/core/node';
import WebSocket, { type RawData } from 'ws';
import { type Connected, type ConnectOptions, connectStream, type TlsFacts } from './connect.ts';
import { brief, EchoStream, speakerOf } from './payload.ts';
import type { EchoTarget } from './url.ts';
import { closeWords, EchoTrouble, openTrouble, REMEDIES, type SystemError, upgradeTrouble } from './words.ts';

/** What comes of a link; never before it was handed out. */
export interface LinkEvents {
  /** A message that came back whole. */
  onEcho(text: string): void;
  /** Something that was not sent, in words. */
  onOther(words: string): void;
  /** No more will come. */
  onEnd(words: string): void;
  /** A message was refused, others may come back (UDP). */
  onRefused(error: SystemError): void;
}

/** A way to an echo and back. */
export interface EchoLink {
  readonly at: SocketAddress;
  /** Undefined for UDP. */
  readonly connectMs: number | undefined;
  readonly tls: TlsFacts | undefined;
  /** More is waiting to be written than is good. */
  readonly isBusy: boolean;
  send(text: string): void;
  close(): void;
}

/** Above so many bytes unwritten nothing more is sent. */
const HIGH_WATER = 4 * 1024 * 1024;
/** Of a peer that sends more than it got. */
const MAX_MESSAGE = 2 * 1024 * 1024;

/** TCP and TLS: each message is a line. Throws EchoTrouble. */
export async function openStreamLink(
  target: EchoTarget,
  options: ConnectOptions,
  events: LinkEvents,
): Promise<EchoLink> {
  const connected = await connectStream(target, options);
  const { socket, at } = connected;
  const echoes = new EchoStream();
  let cameBack = false;
  socket.on('data', (bytes: Buffer) => {
    const { messages, other } = echoes.handleBytes(bytes);
    cameBack ||= messages.length > 0 || other !== undefined;
    for (const text of messages) events.onEcho(text);
    if (other) events.onOther(otherWords(other));
  });
  socket.on('error', (error: SystemError) =>
    events.onEnd(
      isOfTls(error)
        ? `${socketKey(at)}${lateTrouble(error, REMEDIES)}`
        : openTrouble(target.scheme, socketKey(at), error, 0),
    ),
  );
  socket.on('end', () => {
    const tls = target.scheme === 'tcp' ? ', or wants TLS (tls://)' : '';
    const why = cameBack ? '' : ` before anything came back: it is no echo, does not want us${tls}`;
    events.onEnd(`${socketKey(at)} closed the connection${why}`);
  });
  return {
    ...linkOf(connected),
    get isBusy() {
      return socket.writableLength > HIGH_WATER;
    },
    send: (text) => {
      echoes.expect(text);
      socket.write(`${text}\n`);
    },
    close: () => farewell(socket),
  };
}

/** Ends a stream in order; a peer that does not end it too is not waited for. */
function farewell(socket: Socket): void {
  socket.removeAllListeners('end').removeAllListeners('data').resume();
  socket.end(() => socket.destroySoon());
  setTimeout(() => socket.destroy(), 500).unref();
}

/** WebSocket, over TLS too: each message is a text message. Throws EchoTrouble. */
export async function openWebSocketLink(
  target: EchoTarget,
  options: ConnectOptions,
  events: LinkEvents,
): Promise<EchoLink> {
  const connected = await connectStream(target, options);
  const { at } = connected;
  const name = socketKey(at);
  const host = target.host.replace(/%.*$/, '');
  const url = `${target.scheme}://${host.includes(':') ? `[${host}]` : host}:${target.port}${target.path}`;
  const socket = new WebSocket(url, {
    createConnection: () => connected.socket,
    handshakeTimeout: options.timeoutMs,
    maxPayload: MAX_MESSAGE,
    perMessageDeflate: false,
  });
  await upgraded(socket, target, name, options);
  socket.on('message', (data: RawData) => {
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
    events.onEcho(bytes.toString());
  });
  socket.on('error', (error: SystemError) => events.onEnd(`${name}: ${error.message ?? 'an error'}`));
  socket.on('close', (code, reason) => events.onEnd(closeWords(name, code, reason.toString())));
  return {
    ...linkOf(connected),
    get isBusy() {
      return socket.bufferedAmount > HIGH_WATER;
    },
    send: (text) => {
      if (socket.readyState === socket.OPEN) socket.send(text);
    },
    close: () => {
      socket.removeAllListeners('close').removeAllListeners('message');
      socket.on('close', () => {});
      socket.close(1000);
      setTimeout(() => socket.terminate(), 500).unref();
    },
  };
}

function upgraded(socket: WebSocket, target: EchoTarget, name: string, { signal, timeoutMs }: ConnectOptions) {
  return new Promise<void>((resolve, reject) => {
    const clear = () => {
      signal.removeEventListener('abort', stopped);
      socket.off('open', open).off('error', failed).off('unexpected-response', unexpected);
    };
    const fail = (words: string) => {
      clear();
      socket.on('error', () => {});
      socket.terminate();
      reject(new EchoTrouble(words));
    };
    const open = () => {
      clear();
      resolve();
    };
    const stopped = () => fail('stopped');
    const unexpected = (
      _: unknown,
      { statusCode = 0, headers }: { statusCode?: number; headers: { location?: string } },
    ) => fail(upgradeTrouble(name, statusCode, headers.location, target));
    const failed = (error: SystemError) => {
      const { code = '', message = '' } = error;
      if (/handshake has timed out/.test(message))
        fail(
          `${name} took the connection, but does not answer the upgrade within ${timeoutMs / 1000} s: it is no WebSocket`,
        );
      else if (/^HPE_/.test(code) || code === 'ECONNRESET' || /socket hang up/.test(message)) {
        const tls = target.scheme === 'ws' ? '; if it speaks TLS, wss:// is meant' : '';
        fail(`${name} does not answer the upgrade in HTTP: it is no WebSocket server${tls}`);
      } else if (isOfTls(error)) fail(`${name}${lateTrouble(error, REMEDIES)}`);
      else fail(`${name}: ${message || code}`);
    };
    signal.addEventListener('abort', stopped);
    socket.on('open', open).on('error', failed).on('unexpected-response', unexpected);
  });
}

/** UDP: each message is a datagram. Resolves at once; whether anybody is there shows later. Throws EchoTrouble. */
export async function openUdpLink(
  { scheme }: EchoTarget,
  at: SocketAddress,
  { timeoutMs }: ConnectOptions,
  events: LinkEvents,
): Promise<EchoLink> {
  const socket = createSocket(at.address.includes(':') ? 'udp6' : 'udp4');
  try {
    // Connected, so that ICMP's answers are told, and others' datagrams are not taken.
    socket.connect(at.port, at.address);
    await once(socket, 'connect');
  } catch (error) {
    socket.close();
    throw new EchoTrouble(openTrouble(scheme, socketKey(at), error as SystemError, timeoutMs));
  }
  let isOpen = true;
  socket.on('message', (bytes) => events.onEcho(bytes.toString('latin1')));
  socket.on('error', (error: SystemError) => events.onRefused(error));
  return {
    at,
    connectMs: undefined,
    tls: undefined,
    isBusy: false,
    send: (text) =>
      socket.send(text, (error) => {
        if (error && isOpen) events.onRefused(error);
      }),
    close: () => {
      if (isOpen) socket.close();
      isOpen = false;
    },
  };
}

function linkOf({ at, connectMs, tls }: Connected): Pick<EchoLink, 'at' | 'connectMs' | 'tls'> {
  return { at, connectMs, tls };
}

/** An alert after the handshake: in TLS 1.3 the other side judges us only then. */
function isOfTls({ code = '' }: SystemError): boolean {
  return code.startsWith('ERR_SSL_');
}

/** What came in place of an echo. */
export function otherWords(bytes: Uint8Array): string {
  const speaker = speakerOf(bytes);
  return `something else came back: '${brief(Buffer.from(bytes.subarray(0, 80)).toString('latin1'))}'${speaker ? ` (${speaker})` : ''}`;
}
