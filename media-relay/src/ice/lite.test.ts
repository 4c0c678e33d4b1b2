import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeStun, StunAttribute, StunClass, StunMethod, StunWriter, shortTermKey } from '@offhook/core';
import { nodeCrypto, UdpEndpoint, type UdpPort } from '@offhook/core/node';
import { TransportTable } from '../session/index.ts';
import { CONSENT_MS, IceLite, MAX_PAIRS } from './lite.ts';
import { MuxPort } from './mux.ts';
import type { IceCredentials } from './session.ts';

const REMOTE: IceCredentials = { ufrag: 'rfrag', pwd: 'remote-password-of-22-c' };
const REMOTE_KEY = shortTermKey(REMOTE.pwd);

function bench() {
  const transports = new TransportTable();
  const ice = new IceLite(nodeCrypto, (id) => transports.at(id) !== undefined);
  const sent: number[] = [];
  const udp = { family: 4, send: (b: Uint8Array) => sent.push(b.length) > 0 } as unknown as UdpPort;
  const mux = new MuxPort(udp, '127.0.0.1', 7);
  const open = () => ice.open(transports.open(undefined));
  const check = (session: ReturnType<typeof open>, port: number, options: CheckOptions = {}) => {
    const local = options.local ?? session.current.local;
    const writer = new StunWriter(new Uint8Array(300));
    writer.start(StunClass.request, StunMethod.binding, nodeCrypto.randomBytes(12));
    writer.text(StunAttribute.username, `${local.ufrag}:${options.remote ?? REMOTE.ufrag}`);
    if (options.nominate) writer.flag(StunAttribute.useCandidate);
    writer.integrity(shortTermKey(local.pwd), nodeCrypto).fingerprint();
    const source = UdpEndpoint.from({ address: '192.0.2.7', port })!;
    const length = ice.handleStun(writer.message().slice(), mux, source, options.nowMs ?? 0);
    const reply = decodeStun(ice.reply.slice(0, length));
    return reply?.class === StunClass.success ? 200 : (reply?.errorCode()?.code ?? 0);
  };
  return { transports, ice, mux, open, check, sent };
}

interface CheckOptions {
  local?: IceCredentials;
  remote?: string;
  nominate?: boolean;
  nowMs?: number;
}

test('the first good check opens the path, USE-CANDIDATE moves it, a later plain check does not', () => {
  const { ice, open, check, mux } = bench();
  const s = open();
  ice.accept(s, REMOTE);
  assert.equal(check(s, 1000), 200);
  assert.deepEqual([s.state, s.selected?.remote.port], ['connected', 1000]);
  assert.equal(check(s, 2000), 200);
  assert.equal(s.selected?.remote.port, 1000);
  assert.equal(check(s, 2000, { nominate: true }), 200);
  assert.deepEqual([s.state, s.selected?.remote.port], ['nominated', 2000]);
  assert.equal(check(s, 1000), 200);
  assert.equal(s.selected?.remote.port, 2000);
  assert.equal(mux.flows.size, 2);
  ice.close(s);
  assert.deepEqual([ice.size, mux.flows.size], [0, 0]);
});

test('a check before the answer is taken, and void when the answer is of somebody else', () => {
  const { ice, open, check, mux } = bench();
  const s = open();
  assert.equal(check(s, 1000, { remote: 'early', nominate: true }), 200);
  assert.equal(s.state, 'nominated');
  ice.accept(s, REMOTE);
  assert.deepEqual([s.state, mux.flows.size, s.transport.remote], ['waiting', 0, undefined]);
  assert.equal(check(s, 1000, { remote: 'early' }), 401);
  assert.equal(check(s, 1000), 200);
});

test('of the checks before the answer those of its own sender count on', () => {
  const { ice, open, check, mux } = bench();
  const s = open();
  assert.equal(check(s, 1000, { nominate: true }), 200);
  assert.equal(check(s, 2000, { remote: 'before' }), 200);
  ice.accept(s, REMOTE);
  assert.deepEqual([s.state, s.selected?.remote.port, mux.flows.size], ['nominated', 1000, 1]);
  ice.close(s);

  const other = open();
  assert.equal(check(other, 3000), 200);
  assert.equal(check(other, 4000, { remote: 'before', nominate: true }), 200);
  ice.accept(other, REMOTE);
  assert.deepEqual([other.state, other.selected?.remote.port, mux.flows.size], ['connected', 3000, 1]);
  assert.equal(other.transport.remote?.port, 3000);
});

test('a restart: the old credentials work until the new path is nominated', () => {
  const { ice, open, check } = bench();
  const s = open();
  ice.accept(s, REMOTE);
  check(s, 1000, { nominate: true });
  const old = s.current.local;
  assert.equal(ice.offered(s, REMOTE), false);
  assert.equal(ice.offered(s, { ufrag: 'other', pwd: REMOTE.pwd }), true);
  assert.notEqual(s.current.local.ufrag, old.ufrag);
  assert.equal(check(s, 1000, { local: old }), 200);
  assert.equal(s.transport.remote?.port, 1000);
  assert.equal(check(s, 3000, { remote: 'other', nominate: true }), 200);
  assert.equal(s.transport.remote?.port, 3000);
  assert.equal(check(s, 1000, { local: old }), 401);
  assert.equal(ice.size, 1);
});

test('what was an answer to our credentials, and is told as an offer, works with them', () => {
  const { ice, open, check } = bench();
  const s = open();
  ice.accept(s, REMOTE);
  check(s, 1000, { nominate: true });
  const told = s.current.local;
  ice.offered(s, { ufrag: 'other', pwd: REMOTE.pwd });
  assert.equal(check(s, 2000, { local: told, remote: 'third' }), 401);
  assert.equal(check(s, 2000, { local: told, remote: 'other', nominate: true }), 200);
  assert.equal(s.transport.remote?.port, 2000);
  assert.equal(check(s, 2000, { remote: REMOTE.ufrag }), 401, 'not the other way about');
});

test('a leg can not take the address of another living leg', () => {
  const { ice, open, check, mux, transports } = bench();
  const [victim, thief] = [open(), open()];
  ice.accept(victim, REMOTE);
  ice.accept(thief, REMOTE);
  check(victim, 1000, { nominate: true });
  assert.equal(check(thief, 1000, { nominate: true }), 0);
  assert.equal(mux.flows.get(UdpEndpoint.from({ address: '192.0.2.7', port: 1000 })!), victim.transport.id);
  assert.equal(ice.counters.takenAddress, 1);
  transports.close(victim.transport);
  assert.equal(check(thief, 1000, { nominate: true }), 200);
});

test('pairs are bounded and the selected one stays', () => {
  const { ice, open, check, mux } = bench();
  const s = open();
  ice.accept(s, REMOTE);
  check(s, 1000, { nominate: true });
  for (let i = 1; i < 100; i++) check(s, 1000 + i, { nowMs: i });
  assert.deepEqual([s.pairs.length, mux.flows.size, s.selected?.remote.port], [MAX_PAIRS, MAX_PAIRS, 1000]);
});

test('consent ends with silence and comes back with a check', () => {
  const { ice, open, check } = bench();
  const s = open();
  ice.accept(s, REMOTE);
  check(s, 1000, { nominate: true, nowMs: 5 });
  ice.checkConsent(s, 5 + CONSENT_MS);
  assert.equal(s.state, 'nominated');
  ice.checkConsent(s, 6 + CONSENT_MS);
  assert.deepEqual([s.state, s.transport.remote], ['lost', undefined]);
  check(s, 1000, { nowMs: 40_000 });
  assert.deepEqual([s.state, s.transport.remote?.port], ['connected', 1000]);
});

test('errors to sources that prove nothing are limited', () => {
  const { ice, open, check } = bench();
  const s = open();
  ice.accept(s, REMOTE);
  const answered = Array.from({ length: 300 }, () => check(s, 1, { remote: 'nobody' })).filter((code) => code === 401);
  assert.deepEqual([answered.length, ice.counters.suppressed], [100, 200]);
});

test('an error to a source that proves nothing is never larger than its request', () => {
  const { ice, mux } = bench();
  const source = UdpEndpoint.from({ address: '192.0.2.7', port: 1 })!;
  const request = (fill: (writer: StunWriter) => void) => {
    const writer = new StunWriter(new Uint8Array(300));
    fill(writer.start(StunClass.request, StunMethod.binding, nodeCrypto.randomBytes(12)));
    return writer.message().slice();
  };
  const cases: [string, Uint8Array, number, number][] = [
    ['a bare request', request(() => {}), 20, 0],
    ['four bytes more', request((w) => w.flag(StunAttribute.useCandidate)), 24, 0],
    ['as long as an error', request((w) => w.u32(StunAttribute.priority, 1)), 28, 28],
    ['a FINGERPRINT alone', request((w) => w.fingerprint()), 28, 28],
    ['eight bytes more', request((w) => w.u32(StunAttribute.priority, 1).fingerprint()), 36, 36],
    ['a wrong check', request((w) => w.text(StunAttribute.username, 'a:b').integrity(REMOTE_KEY, nodeCrypto)), 52, 36],
  ];
  for (const [name, bytes, length, answered] of cases) {
    assert.equal(bytes.length, length, name);
    assert.equal(ice.handleStun(bytes, mux, source, 0), answered, name);
    if (answered > 0) assert.ok((decodeStun(ice.reply.slice(0, answered))?.errorCode()?.code ?? 0) >= 400, name);
  }
});
