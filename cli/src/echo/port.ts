import { type SocketAddress, socketKey } from '@offhook/core';
import { holderOf } from '../doctor/holder.ts';
import type { Admissions, SourceAllowances } from './allowance.ts';
import type { IssuedPair } from './identity.ts';
import type { Scheme } from './url.ts';
import { EchoTrouble } from './words.ts';

/** How much strangers may have. */
export interface EchoLimits {
  /** Connections in all, and of one address. */
  readonly connections: number;
  readonly perAddress: number;
  /** Of a WebSocket message or a datagram, in bytes. */
  readonly maxSize: number;
  readonly idleMs: number;
  /** Of each connection, and of each address over UDP. Connections wait, datagrams are dropped. */
  readonly bytesPerS: number;
}

export const ECHO_LIMITS: EchoLimits = {
  connections: 200,
  perAddress: 20,
  maxSize: 65_536,
  idleMs: 60_000,
  bytesPerS: 1_000_000,
};

/** How long a handshake or an upgrade may take. */
export const HANDSHAKE_MS = 10_000;
/** How long a peer may take to end its side when the listener stops. */
export const FAREWELL_MS = 500;

export interface EchoCounters {
  connections: number;
  /** Connections beyond the limits. */
  refused: number;
  /** Handshakes and upgrades that came to nothing. */
  failed: number;
  /** Datagrams or WebSocket messages sent back; of a stream, what arrived at once. */
  messages: number;
  bytes: number;
  /** Datagrams without an answer: too many, too big, or from a port that would answer back. */
  dropped: number;
  /** Connections closed because nothing came. */
  idle: number;
}

/** What a port needs of the listener that it belongs to. */
export interface EchoPortOptions {
  readonly at: SocketAddress;
  readonly scheme: Scheme;
  readonly limits: EchoLimits;
  readonly counters: EchoCounters;
  readonly admissions: Admissions;
  readonly sources: SourceAllowances;
  /** Of TLS and WSS. */
  readonly certificate: IssuedPair | undefined;
  /** Something from this address was sent back. */
  readonly onPeer: (address: string) => void;
}

export interface EchoPort {
  readonly at: SocketAddress;
  close(): Promise<void>;
}

/** Why a port can't be opened; the whole sentence. The code stays. */
export function listenTrouble(
  scheme: Scheme,
  at: SocketAddress,
  { code, message }: NodeJS.ErrnoException,
): EchoTrouble {
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: `is taken by ${holderOf(scheme === 'udp' ? 'udp' : 'tcp', at.port)?.words ?? 'another program'}`,
    EACCES: 'needs more rights than this user has (ports below 1024 do)',
    EADDRNOTAVAIL: 'is not an address of this machine',
    EAFNOSUPPORT: 'is IPv6, which is turned off on this machine',
    EINVAL: 'is not an address that can be listened on',
  };
  const trouble = new EchoTrouble(`${scheme} ${socketKey(at)} ${words[code ?? ''] ?? `can’t be opened: ${message}`}`);
  return Object.assign(trouble, { code });
}
