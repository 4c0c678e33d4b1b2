import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hex, isSdpError, parseSdp } from '@offhook/core';
import { nodeCrypto, type UdpPort } from '@offhook/core/node';
import { noRates } from '../congestion/index.ts';
import type { Transport } from '../forward/index.ts';
import { IceLite, MuxPort } from '../ice/index.ts';
import { SrtpContext } from '../srtp/index.ts';
import { SessionBook } from './book.ts';
import type { DtlsFactory } from './dtls.ts';
import type { MediaHost } from './host.ts';
import type { RtpInterface } from './interfaces.ts';
import type { PortPair } from './leg.ts';
import type { DescribeRequest, DescribeResult } from './request.ts';
import { TransportTable } from './table.ts';

export const golden = (name: string) =>
  readFileSync(join(import.meta.dirname, 'goldens', `${name}.sdp`), 'utf8').replaceAll(/\r?\n/g, '\r\n');

export const OWN_FINGERPRINT = `sha-256 ${new Array(32).fill('AB').join(':')}`;

interface BenchOptions {
  readonly dtls?: boolean;
  readonly maxCalls?: number;
  readonly interfaces?: readonly RtpInterface[];
  /** Handshakes begin, and come to nothing. */
  readonly startsDtls?: boolean;
}

/** A book without sockets: ports are numbers, DTLS endpoints do nothing. */
export class Bench {
  readonly released: PortPair[] = [];
  /** Key of each sending SRTP context that was made. */
  readonly senderKeys: string[] = [];
  readonly attached = new Map<PortPair, Transport>();
  readonly transports = new TransportTable();
  readonly ice = new IceLite(nodeCrypto, () => false);
  readonly book: SessionBook;
  readonly addressCounters = { loops: 0, notUnicast: 0 };
  readonly claims: number[] = [];
  nowMs = 1000;
  #nextPort = 20_100;

  constructor(options: BenchOptions = {}) {
    const dtls: DtlsFactory = {
      fingerprint: OWN_FINGERPRINT,
      create: () => {
        if (!options.startsDtls) throw new Error('no handshake in these tests');
        return {
          handleStart: () => {},
          handlePacket: () => {},
          handleTimeout: () => {},
          nextTimeout: () => undefined,
          poll: () => undefined,
          close: () => {},
        };
      },
      matches: () => false,
    };
    const host: MediaHost = {
      crypto: nodeCrypto,
      ice: this.ice,
      muxes: ['127.0.0.1', '192.0.2.2'].map((a, i) => new MuxPort(fakePort(20_000, a), a, i)),
      interfaces: options.interfaces ?? [{ name: 'default', address: '192.0.2.2' }],
      isOwn: (address) => address === '192.0.2.2' || address === '127.0.0.1',
      isRelayPort: ({ address, port }) =>
        address === '192.0.2.2' &&
        [...this.attached.keys()].some((p) => p.rtp.local.port === port || p.rtcp.local.port === port),
      addressCounters: this.addressCounters,
      rateCounters: noRates(),
      transports: this.transports,
      openSrtp: (keys, direction) => {
        if (direction === 'protect') this.senderKeys.push(hex(keys.key));
        return new SrtpContext(keys, direction);
      },
      dtlsCounters: { connected: 0, failed: 0, fingerprintMismatch: 0 },
      dtls: options.dtls === false ? undefined : dtls,
      dtlsProblem: options.dtls === false ? 'the self-test failed' : undefined,
      attach: (transport, pair) => this.attached.set(pair, transport),
      claim: ({ port }) => this.claims.push(port) > 0,
      disclaim: (port) => this.claims.splice(this.claims.indexOf(port), 1),
      release: (pair) => {
        this.attached.delete(pair);
        this.released.push(pair);
      },
      rearm: () => {},
    };
    this.book = new SessionBook(host, { mediaTimeoutMs: 60_000, maxCalls: options.maxCalls ?? 10 });
  }

  offer(fromTag: string, sdp: string, options: Partial<DescribeRequest> = {}): string {
    return text(this.tryOffer(fromTag, sdp, options));
  }

  tryOffer(fromTag: string, sdp: string, options: Partial<DescribeRequest> = {}): DescribeResult {
    const r = request(fromTag, undefined, sdp, options);
    const needed = this.book.pairsFor(r, false);
    if ('error' in needed) return needed;
    const pairs = this.#pairs(needed);
    const result = this.book.offer(r, pairs, this.nowMs);
    if ('sdp' in result) assert.equal(pairs.length, 0, 'exactly the pairs needed were asked for');
    return result;
  }

  answer(fromTag: string, toTag: string, sdp: string, options: Partial<DescribeRequest> = {}): string {
    return text(this.book.answer(request(fromTag, toTag, sdp, options), this.nowMs));
  }

  tryAnswer(fromTag: string, toTag: string, sdp: string, options: Partial<DescribeRequest> = {}): DescribeResult {
    return this.book.answer(request(fromTag, toTag, sdp, options), this.nowMs);
  }

  echo(sdp: string, options: Partial<DescribeRequest> = {}): string {
    const r = request('a', 'e', sdp, options);
    const needed = this.book.pairsFor(r, true);
    assert.ok(!('error' in needed));
    return text(this.book.echo(r, this.#pairs(needed), this.nowMs));
  }

  /** Deletes the calls and looks for anything left. */
  end(...callIds: string[]): void {
    for (const id of callIds.length > 0 ? callIds : ['call']) assert.ok(this.book.delete(id, undefined), id);
    assert.deepEqual(
      [this.book.size, this.transports.size, this.ice.size, this.attached.size, this.claims, this.book.nextTimeout()],
      [0, 0, 0, 0, [], undefined],
    );
  }

  #pairs(needed: readonly RtpInterface[]): PortPair[] {
    return needed.map(({ address }) => {
      const port = this.#nextPort;
      this.#nextPort += 2;
      return { rtp: fakePort(port, address), rtcp: fakePort(port + 1, address) };
    });
  }
}

function fakePort(port: number, address = '192.0.2.2'): UdpPort {
  const family = address.includes(':') ? 6 : 4;
  return { local: { address, port }, family, send: () => true } as unknown as UdpPort;
}

export function request(
  fromTag: string,
  toTag: string | undefined,
  sdp: string,
  options: Partial<DescribeRequest>,
): DescribeRequest {
  return {
    callId: 'call',
    fromTag,
    toTag,
    sdp,
    protocol: undefined,
    ice: undefined,
    dtlsOff: false,
    sdesOff: false,
    rtcpMux: [],
    replaceOrigin: true,
    receivedFrom: undefined,
    trustAddress: false,
    opaque: false,
    standIn: false,
    silent: false,
    ...options,
  };
}

export function text(result: DescribeResult): string {
  assert.ok('sdp' in result, 'error' in result ? result.error : '');
  assert.ok(!isSdpError(parseSdp(result.sdp)));
  return result.sdp;
}

/** The warnings of an answer, joined. */
export function wordsOf(result: DescribeResult): string {
  assert.ok('sdp' in result, 'error' in result ? result.error : '');
  return (result.warnings ?? []).map(({ words }) => words).join('; ');
}

export const WEBRTC = { protocol: 'UDP/TLS/RTP/SAVPF', ice: 'force' } as const;
export const PLAIN = { protocol: 'RTP/AVP', ice: 'remove' } as const;

export const plainAnswer = (port: number, extra: string[] = [], rest: string[] = []) =>
  [
    'v=0',
    'o=bob 5 5 IN IP4 192.0.2.9',
    's=call',
    'c=IN IP4 192.0.2.9',
    't=0 0',
    `m=audio ${port} RTP/AVP 0 126`,
    'a=rtpmap:126 telephone-event/8000',
    ...extra,
    'a=sendrecv',
    ...rest,
    '',
  ].join('\r\n');
