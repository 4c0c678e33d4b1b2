import assert from 'node:assert/strict';
import {
  createRequest,
  createResponse,
  digestResponse,
  ha1,
  parseAuthorization,
  type SipMessage,
  writeChallenge,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { stage } from '../call/test-kit.ts';
import type { Locate } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { TrunkConfig, TrunkConfigs } from './config.ts';

export interface Reply {
  readonly status: number;
  readonly headers?: readonly (readonly [string, string | number])[];
}
/** What a server of the provider says to a request; undefined: it is dead. */
export type Script = (request: SipMessage) => Reply | undefined;

/** A server of a provider, by its address. */
export class Provider {
  readonly flow: Flow;
  script: Script;
  /** Every request that came, repetitions included. */
  readonly seen: SipMessage[] = [];
  read = 0;

  constructor(address: string, script: Script, over: Partial<Flow> = {}) {
    this.flow = {
      id: 1_000_000 + Number(address.split('.')[3]),
      transport: 'udp',
      local: { address: '198.51.100.1', port: 5060 },
      remote: { address, port: 5060 },
      ...over,
    };
    this.script = script;
  }

  of(method: string): SipMessage[] {
    return this.seen.filter((message) => message.method === method && message.kind === 'request');
  }
}

/** Answers everything well; a REGISTER as it was asked for. */
export const good: Script = (request) =>
  request.method === 'REGISTER' ? granted(request) : request.method === 'INVITE' ? undefined : { status: 200 };

export function granted(request: SipMessage, more: Reply['headers'] = [], expiresS?: number): Reply {
  const contact = request.header('contact') ?? '';
  const seconds = expiresS ?? request.expires ?? 3600;
  return { status: 200, headers: [['Contact', contact.replace(/;expires=\d+/, `;expires=${seconds}`)], ...more] };
}

/** A registrar that wants a password, and checks it as RFC 7616 says. */
export function registrar(o: {
  user?: string;
  password?: string;
  realm?: string;
  algorithm?: 'MD5' | 'SHA-256';
  /** Its nonce at the moment. */
  nonce?: () => string;
  status?: 401 | 407;
}): Script {
  const { user = 'acct', password = 'pw', realm = 'provider.example', algorithm = 'MD5', status = 401 } = o;
  const nonce = o.nonce ?? (() => 'n1');
  const counts = new Map<string, number>();
  const [ask, give] =
    status === 401
      ? (['WWW-Authenticate', 'authorization'] as const)
      : (['Proxy-Authenticate', 'proxy-authorization'] as const);
  return (request) => {
    if (request.method !== 'REGISTER') return { status: 200 };
    const given = parseAuthorization(request.header(give) ?? '');
    const challenge = (stale: boolean): Reply => ({
      status,
      headers: [[ask, writeChallenge({ realm, nonce: nonce(), algorithm, stale })]],
    });
    if (!given) return challenge(false);
    const { username, uri, response, nc = '', cnonce, qop } = given;
    const key = ha1(algorithm, user, realm, password, nodeCrypto);
    const wanted = digestResponse(
      { algorithm, ha1: key, method: 'REGISTER', uri, nonce: given.nonce, nc, cnonce, qop },
      nodeCrypto,
    );
    if (username !== user || response !== wanted || uri !== request.uri) return challenge(false);
    if (given.nonce !== nonce()) return challenge(true);
    const count = Number.parseInt(nc, 16);
    assert.ok(count > (counts.get(given.nonce) ?? 0), 'a nonce count is used once');
    counts.set(given.nonce, count);
    return granted(request);
  };
}

export const REGISTERING: TrunkConfig = {
  targets: ['sip:one.example'],
  domain: 'provider.example',
  register: { user: 'acct', password: 'pw' },
  numbers: { country: '49' },
  dids: { '+4930111': 'bob' },
  optionsS: 0,
};

export const BY_ADDRESS: TrunkConfig = {
  targets: ['sip:one.example'],
  domain: 'provider.example',
  callerId: '+4930100',
  numbers: { country: '49' },
  dids: { '+4930111': 'bob', '+4930112': 'alice', '+4930600': '600' },
  optionsS: 0,
};

/** The server with trunks, and the provider's servers at the names of their addresses. */
export function trunkStage(trunks: TrunkConfigs, at: Readonly<Record<string, readonly Provider[]>>) {
  const locate: Locate = (uri, nowMs, then) => {
    const ways = at[/^sips?:(?:[^@]*@)?([^;:>]+)/.exec(uri)?.[1] ?? ''] ?? [];
    const from = (i: number, now: number): void => {
      const provider = ways[i];
      if (provider) then({ flow: provider.flow, next: (later) => from(i + 1, later) }, now);
      else then({ error: 'there is no (other) address' }, now);
    };
    from(0, nowMs);
  };
  const s = stage({ core: { trunks, locate } });
  const providers = [...new Set(Object.values(at).flat())];
  const pump = (): void => {
    for (let busy = true; busy; ) {
      busy = false;
      for (const provider of providers) {
        for (const message of s.sentOn(provider.flow).slice(provider.read)) {
          provider.read++;
          busy = true;
          provider.seen.push(message);
          if (message.kind !== 'request' || message.method === 'ACK') continue;
          const reply = provider.script(message);
          if (!reply) continue;
          const response = createResponse(message, reply.status, undefined, { toTag: 'p', headers: reply.headers });
          s.core.handleMessage(response, provider.flow, s.clock.now);
          s.settle();
        }
      }
    }
  };
  pump();
  const advance = (ms: number): void => {
    const until = s.clock.now + ms;
    for (let at = s.core.nextTimeout(); at !== undefined && at <= until; at = s.core.nextTimeout()) {
      s.advance(Math.max(0, at - s.clock.now));
      pump();
    }
    s.advance(until - s.clock.now);
    pump();
  };
  let branches = 0;
  return {
    ...s,
    pump,
    advance,
    status: (name = 'p') => s.core.trunks.status(s.clock.now).find(({ trunk }) => trunk === name)!,
    /** A request from there, as a provider sends it; answers what came back. */
    from: (
      flow: Flow,
      method: string,
      over: {
        uri?: string;
        from?: string;
        to?: string;
        callId?: string;
        sdp?: string;
        branch?: string;
        headers?: (readonly [string, string])[];
      } = {},
    ): SipMessage[] => {
      const before = s.sentOn(flow).length;
      const request = createRequest({
        method,
        uri: over.uri ?? 'sip:+4930111@example.test',
        from: `${over.from ?? '<sip:+4940999@provider.example>'};tag=far`,
        to: over.to ?? '<sip:+4930111@example.test>',
        callId: over.callId ?? `in-${++branches}`,
        cseq: 1,
        headers: [['Contact', '<sip:far@192.0.2.9:5060>'], ...(over.headers ?? [])],
        body: over.sdp === undefined ? undefined : { type: 'application/sdp', bytes: over.sdp },
      }).prepend('via', `SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK${over.branch ?? `in${++branches}`}`);
      s.core.handleMessage(request, flow, s.clock.now);
      s.settle();
      return s.sentOn(flow).slice(before);
    },
    /** The server stops: nothing of the trunks is left. */
    stop: () => {
      s.core.stopTrunks(s.clock.now);
      s.settle();
      pump();
      advance(40_000);
      assert.equal(s.core.trunks.nextTimeout(), undefined, 'timers of trunks');
      assert.equal(s.core.transactions.size, 0, 'transactions');
    },
  };
}
