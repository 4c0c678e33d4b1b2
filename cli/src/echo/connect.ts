import { lookup } from 'node:dns/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { ipFamily, type SocketAddress, socketKey } from '@offhook/core';
import { certificateFacts, handshakeTrouble } from '@offhook/core/node';
import { toMicroseconds } from './tally.ts';
import type { EchoTarget } from './url.ts';
import {
  certificateTrouble,
  EchoTrouble,
  nameTroubleWords,
  openTrouble,
  REMEDIES,
  type SystemError,
  type Trust,
} from './words.ts';

/** Of a name's addresses, so many are tried. */
const MAX_ADDRESSES = 4;

/** What TLS agreed on. */
export interface TlsFacts {
  readonly protocol: string;
  readonly names: readonly string[];
  readonly signedBy: string;
  readonly daysLeft: number;
  /** ISO 8601. */
  readonly until: string;
  readonly fingerprint: string;
  /** Why the certificate would not do without --insecure. */
  readonly distrust?: string;
}

export interface Connected {
  readonly socket: Socket;
  readonly at: SocketAddress;
  readonly connectMs: number;
  readonly tls?: TlsFacts;
}

export interface ConnectOptions {
  readonly timeoutMs: number;
  readonly trust: Trust;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** The addresses of a host in the order in which they are tried. Throws EchoTrouble. */
export async function addressesOf(host: string): Promise<string[]> {
  if (ipFamily(host.replace(/%.*$/, '')) !== undefined) return [host];
  try {
    const found = await lookup(host, { all: true, order: 'verbatim' });
    return [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
  } catch (error) {
    throw new EchoTrouble(nameTroubleWords(host, error as SystemError));
  }
}

/** Calls `open` with each address until one does; the trouble of all of them otherwise. */
export async function firstOf<T>(target: EchoTarget, open: (at: SocketAddress) => Promise<T>): Promise<T> {
  const troubles = new Set<string>();
  for (const address of await addressesOf(target.host)) {
    try {
      return await open({ address, port: target.port });
    } catch (error) {
      if (!(error instanceof EchoTrouble)) throw error;
      troubles.add(error.message);
    }
  }
  throw new EchoTrouble([...troubles].join('; '));
}

/** A TCP connection, with TLS over it when the scheme wants that. Throws EchoTrouble. */
export function connectStream(target: EchoTarget, options: ConnectOptions): Promise<Connected> {
  return firstOf(target, async (at) => {
    const startedMs = performance.now();
    const socket = await openTcp(target, at, options);
    const isTls = target.scheme === 'tls' || target.scheme === 'wss';
    if (!isTls) return { socket, at, connectMs: toMicroseconds(performance.now() - startedMs) };
    const stream = await handshake(socket, target, at, options);
    const connectMs = toMicroseconds(performance.now() - startedMs);
    try {
      return { socket: stream, at, connectMs, tls: judged(stream, target, at, options.trust) };
    } catch (error) {
      stream.destroy();
      throw error;
    }
  });
}

function openTcp({ scheme }: EchoTarget, at: SocketAddress, options: ConnectOptions): Promise<Socket> {
  const socket = connectTcp({ host: at.address, port: at.port, noDelay: true });
  return settled(socket, 'connect', options, (error) => openTrouble(scheme, socketKey(at), error, options.timeoutMs));
}

function handshake(
  socket: Socket,
  { host }: EchoTarget,
  at: SocketAddress,
  options: ConnectOptions,
): Promise<TLSSocket> {
  const stream = connectTls({
    socket,
    ca: [...options.trust.ca],
    ...(ipFamily(host) === undefined && !host.includes('%') && { servername: host.replace(/\.$/, '') }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: false, // judged below, in words
    checkServerIdentity: () => undefined,
  });
  return settled(
    stream,
    'secureConnect',
    options,
    (error) => `${socketKey(at)}${handshakeTrouble(error, options.timeoutMs, REMEDIES)}`,
  );
}

/** Resolves with the stream when the event comes; destroys it and throws words when not. */
function settled<S extends Socket>(
  stream: S,
  event: 'connect' | 'secureConnect',
  { timeoutMs, signal }: ConnectOptions,
  words: (error: SystemError) => string,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const clear = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stopped);
      stream.off('error', fail).off('close', closed).off(event, done);
    };
    const fail = (error: SystemError) => {
      clear();
      stream.on('error', () => {});
      stream.destroy();
      reject(new EchoTrouble(words(error)));
    };
    const closed = () => fail({ code: 'ECONNRESET' });
    const stopped = () => fail({ message: 'stopped' });
    const done = () => {
      clear();
      resolve(stream);
    };
    const timer = setTimeout(() => fail({ code: 'ETIMEDOUT' }), timeoutMs);
    if (signal.aborted) queueMicrotask(stopped);
    signal.addEventListener('abort', stopped);
    stream.on('error', fail).on('close', closed).on(event, done);
  });
}

function judged(stream: TLSSocket, { host }: EchoTarget, at: SocketAddress, trust: Trust): TlsFacts {
  const certificate = stream.getPeerX509Certificate();
  const chainError = stream.authorized ? undefined : String(stream.authorizationError);
  const name = host.replace(/\.$/, '').replace(/%.*$/, '');
  const distrust = certificateTrouble({ certificate, chainError, name }, trust, Date.now());
  if (distrust !== undefined && !trust.insecure) throw new EchoTrouble(`${socketKey(at)}${distrust}`);
  const facts = certificate && certificateFacts(certificate, Date.now());
  return {
    protocol: stream.getProtocol() ?? 'TLS',
    names: facts?.names ?? [],
    signedBy: facts?.isSelfSigned ? 'itself' : (facts?.signedBy ?? 'nobody'),
    daysLeft: facts?.daysLeft ?? 0,
    until: facts?.until ?? new Date(0).toISOString(),
    fingerprint: certificate?.fingerprint256 ?? '',
    ...(distrust !== undefined && { distrust }),
  };
}
