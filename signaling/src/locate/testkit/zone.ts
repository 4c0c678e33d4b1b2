import { seededCrypto } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Flow } from '../../transaction/index.ts';
import type { DnsRecord, DnsReply } from '../dns.ts';
import type { Located } from '../locate.ts';
import { Locator, type LocatorOptions, type PeerOptions } from '../locator.ts';

type Data = DnsRecord extends infer R ? (R extends DnsRecord ? Omit<R, 'name' | 'ttlS'> : never) : never;

export const a = (address: string): Data => ({ type: 'A', address });
export const aaaa = (address: string): Data => ({ type: 'AAAA', address });
export const cname = (target: string): Data => ({ type: 'CNAME', target });
export const srv = (target: string, port = 5060, priority = 1, weight = 0): Data => ({
  type: 'SRV',
  target,
  port,
  priority,
  weight,
});
export const naptr = (services: string, replacement: string, order = 1, preference = 1): Data => ({
  type: 'NAPTR',
  services,
  replacement,
  order,
  preference,
  flags: 's',
  regexp: '',
});

/** What the DNS of a test knows: records by name, or how it fails. */
export type Zone = Record<string, readonly Data[] | 'SERVFAIL' | 'silent'>;

/** The machine on virtual time, a zone that answers as servers do, and flows that open unless their address is in `dead`. */
export function locating(
  zone: Zone,
  options: Partial<LocatorOptions> & { ttlS?: number; along?: Zone; alongTtlS?: number } = {},
) {
  const { ttlS = 60, along = {}, alongTtlS = ttlS, ...rest } = options;
  const locator = new Locator({ crypto: seededCrypto(1, nodeCrypto), ...rest });
  const clock = { nowMs: 0 };
  const asked: string[] = [];
  const doubted: string[] = [];
  const dead = new Set<string>();
  /** Questions of names in here stay open. */
  const held = new Set<string>();
  const waiting: (() => void)[] = [];
  const record = (name: string, data: Data): DnsRecord => ({ name, ttlS, ...data });
  const reply = (name: string, type: string): DnsReply => {
    const known = zone[name];
    if (known === 'silent') return { kind: 'failure' };
    if (known === 'SERVFAIL') return { kind: 'failure', rcode: known };
    const answers = (known ?? []).filter((data) => data.type === type || data.type === 'CNAME');
    const additionals = Object.entries(along).flatMap(([host, list]) =>
      typeof list === 'string' ? [] : list.map((data) => ({ ...record(host, data), ttlS: alongTtlS })),
    );
    const rcode = known ? 'NOERROR' : 'NXDOMAIN';
    const records = answers.map((data) => record(name, data));
    return { kind: 'answer', rcode, answers: records, additionals, ...(records.length ? {} : { negativeTtlS: ttlS }) };
  };
  const settle = () => {
    for (let c = locator.poll(); c; c = locator.poll()) {
      const command = c;
      if (command.kind === 'question') {
        const { id, name, type } = command;
        asked.push(`${type} ${name}`);
        const answer = () => locator.handleAnswer(id, reply(name, type), clock.nowMs);
        if (held.has(name)) waiting.push(answer);
        else answer();
        continue;
      }
      if (command.kind === 'doubt') {
        doubted.push(command.flow.remote.address);
        continue;
      }
      const { id, hop, tls } = command;
      const remote = { address: hop.address, port: hop.port };
      const flow: Flow = { id, transport: hop.transport, local: { address: '127.0.0.1', port: 1 }, remote };
      flows.set(flow, `${hop.transport} ${hop.address}:${hop.port}${hop.transport === 'tls' ? ` ${hop.name}` : ''}`);
      if (tls) flows.set(flow, `${flows.get(flow)} ca=${tls.caPath}`);
      const isDead = dead.has(hop.address);
      locator.handleOpened(id, isDead ? { error: `${hop.address} refuses the connection` } : { flow }, clock.nowMs);
    }
  };
  const flows = new Map<Flow, string>();
  const told = (result: Located) => ('error' in result ? result.error : (flows.get(result.flow) ?? 'no flow'));
  /** What came, in words, and how to ask for the next. */
  const look = (uri: string, peer?: PeerOptions) => {
    const results: string[] = [];
    let last: Located | undefined;
    (peer ? locator.for(peer) : locator.locate)(uri, clock.nowMs, (result) => {
      results.push(told(result));
      last = result;
    });
    settle();
    const next = () => {
      if (last && 'next' in last) last.next(clock.nowMs);
      settle();
    };
    return { results, next };
  };
  /** Everything that a caller gets who is never content. */
  const all = (uri: string, peer?: PeerOptions): string[] => {
    const { results, next } = look(uri, peer);
    for (let n = 0; n !== results.length; ) {
      n = results.length;
      next();
    }
    return results;
  };
  const release = () => {
    held.clear();
    for (const answer of waiting.splice(0)) answer();
    settle();
  };
  const takeAsked = () => asked.splice(0);
  return { locator, clock, dead, held, doubted, settle, look, all, release, takeAsked };
}
