import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PacketBatch, UdpEndpoint, type UdpPort } from '@offhook/core/node';
import { MAX_KNOWN_SSRCS } from '../srtp/index.ts';
import { rtp } from '../test-kit.ts';
import { HandshakeSource, SENT_PER_RECEIVED, SILENT_MS } from './handshake-source.ts';
import { LATE_PROBATION_PACKETS, Latch, PROBATION_MS, PROBATION_PACKETS, Verdict } from './latch.ts';
import { DOUBTFUL_SSRCS, OWN_SSRCS, SequenceMap } from './sequence-map.ts';
import { Splice } from './splice.ts';
import { SsrcTable } from './ssrc-table.ts';

const SDP = UdpEndpoint.from({ address: '192.0.2.1', port: 4000 })!;
const NAT = UdpEndpoint.from({ address: '198.51.100.1', port: 0 })!;

function batch(from: string, port: number, packet: Uint8Array): PacketBatch {
  const at = UdpEndpoint.from({ address: from, port })!;
  return {
    bytes: packet,
    view: new DataView(packet.buffer),
    count: 1,
    offset: Uint32Array.of(0),
    length: Uint16Array.of(packet.length),
    address: Uint32Array.of(at.a, at.b, at.c, at.d),
    port: Uint16Array.of(port),
  };
}

test('the address of the SDP is told apart but locks nothing by itself; once it is locked everybody else stays outside', () => {
  const latch = new Latch(4);
  const packet = rtp({ ssrc: 1, sequence: 1 });
  assert.equal(latch.judge(batch('192.0.2.1', 4000, packet), 0), Verdict.stranger);
  latch.expect(SDP, [SDP, NAT]);
  assert.equal(latch.judge(batch('203.0.113.5', 4000, packet), 0), Verdict.stranger);
  assert.equal(latch.judge(batch('192.0.2.1', 4001, packet), 0), Verdict.candidate);
  assert.equal(latch.judge(batch('192.0.2.1', 4000, packet), 0), Verdict.expected);
  assert.equal(latch.judge(batch('192.0.2.1', 4001, packet), 0), Verdict.candidate);
  latch.lock(batch('192.0.2.1', 4000, packet), 0);
  assert.equal(latch.judge(batch('192.0.2.1', 4000, packet), 0), Verdict.locked);
  assert.equal(latch.judge(batch('192.0.2.1', 4001, packet), 0), Verdict.stranger);
  assert.equal(latch.judge(batch('198.51.100.1', 4000, packet), 0), Verdict.stranger);
});

test('another port locks after consistent packets only: one SSRC, one payload type, advancing, one port', () => {
  const cases: [
    string,
    (i: number) => { port?: number; ssrc?: number; payloadType?: number; sequence?: number },
    boolean,
  ][] = [
    ['consistent', () => ({}), true],
    ['changing port', (i) => ({ port: 5000 + (i % 2) }), false],
    ['changing SSRC', (i) => ({ ssrc: i }), false],
    ['changing payload type', (i) => ({ payloadType: i % 2 }), false],
    ['repeated packet', () => ({ sequence: 7 }), false],
    ['random sequence numbers', (i) => ({ sequence: (i * 7919) & 0xffff }), false],
    ['across the wrap', (i) => ({ sequence: (0xfffd + i) & 0xffff }), true],
  ];
  for (const [name, change, locks] of cases) {
    const latch = new Latch(4);
    latch.expect(SDP, [SDP, NAT]);
    latch.signalled(0);
    for (let i = 1; i <= 2 * PROBATION_PACKETS && !latch.source; i++) {
      const { port = 5000, ...fields } = change(i);
      const one = batch('198.51.100.1', port, rtp({ ssrc: 9, sequence: i, ...fields }));
      assert.equal(latch.judge(one, 0), Verdict.candidate);
      assert.equal(latch.probe(one, 0, 0), locks && i === PROBATION_PACKETS, `${name} ${i}`);
    }
    assert.equal(latch.source !== undefined, locks, name);
  }
});

test("a lock of a probation lasts until the SDP's own port speaks, and then for good", () => {
  const latch = new Latch(4);
  latch.expect(SDP, [SDP]);
  latch.signalled(0);
  for (let i = 1; i <= PROBATION_PACKETS; i++) {
    latch.probe(batch('192.0.2.1', 5000, rtp({ ssrc: 9, sequence: i })), 0, i);
  }
  const packet = rtp({ ssrc: 1, sequence: 1 });
  assert.equal(latch.judge(batch('192.0.2.1', 5000, packet), 0), Verdict.locked);
  assert.equal(latch.judge(batch('192.0.2.1', 5001, packet), 0), Verdict.stranger);
  assert.equal(latch.judge(batch('192.0.2.1', 4000, packet), 0), Verdict.expected);
  latch.lock(batch('192.0.2.1', 4000, packet), 0);
  assert.equal(latch.judge(batch('192.0.2.1', 5000, packet), 0), Verdict.stranger);
  assert.equal(latch.judge(batch('192.0.2.1', 4000, packet), 0), Verdict.locked);
});

test('a probation begins when the peer knows the port, and is longer when it begins late', () => {
  const needed = (signalledAtMs: number | undefined, nowMs: number) => {
    const latch = new Latch(4);
    latch.expect(SDP, [SDP]);
    if (signalledAtMs !== undefined) latch.signalled(signalledAtMs);
    for (let i = 1; i <= 100; i++) {
      if (latch.probe(batch('192.0.2.1', 5000, rtp({ ssrc: 9, sequence: i })), 0, nowMs)) return i;
    }
    return undefined;
  };
  assert.equal(needed(undefined, 0), undefined);
  assert.equal(needed(10, 10 + PROBATION_MS), PROBATION_PACKETS);
  assert.equal(needed(10, 11 + PROBATION_MS), LATE_PROBATION_PACKETS);
});

test('only another address from signalling opens a lock', () => {
  const latch = new Latch(4);
  latch.expect(SDP, [SDP]);
  latch.lock(batch('192.0.2.1', 4000, rtp({ ssrc: 1, sequence: 1 })), 0);
  assert.equal(latch.expect(UdpEndpoint.from(SDP.toSocketAddress()), [SDP]), false);
  assert.ok(latch.source);
  assert.equal(latch.expect(UdpEndpoint.from({ address: '192.0.2.1', port: 4002 }), [SDP]), true);
  assert.equal(latch.source, undefined);
});

test('a handshake without ICE: who may take it over, and how much its source is sent', () => {
  const record = (type: number, message: number) => Uint8Array.of(type, ...new Array(12).fill(0), message);
  const hello = record(22, 1);
  const other = UdpEndpoint.from({ address: '198.51.100.1', port: 5000 })!;
  let sent = 0;
  const port = { send: () => ++sent > 0 } as unknown as UdpPort;
  const source = new HandshakeSource();
  assert.equal(source.givesWay(record(22, 11), true, 0), false, 'a certificate begins nothing');
  assert.equal(source.givesWay(record(23, 1), true, 0), false);
  assert.equal(source.givesWay(hello.subarray(0, 13), true, 0), false);
  assert.equal(source.givesWay(hello, false, 0), true);
  source.take(port, other, false);
  assert.equal(source.send(hello), false);
  source.received(10);
  for (let n = 1; n <= SENT_PER_RECEIVED + 3; n++) assert.equal(source.send(hello), n <= SENT_PER_RECEIVED);
  assert.equal(sent, SENT_PER_RECEIVED);
  assert.equal(source.givesWay(hello, false, 9 + SILENT_MS), false);
  assert.equal(source.givesWay(hello, false, 10 + SILENT_MS), true);
  assert.equal(source.givesWay(hello, true, 11), true);
  source.take(port, SDP, true);
  source.received(20);
  assert.equal(source.givesWay(hello, true, 21), false);
  source.prove();
  for (let n = 0; n < 20; n++) assert.ok(source.send(hello));
  source.clear();
  assert.deepEqual([source.at, source.send(hello)], [undefined, false]);
});

test('SSRCs are found again, the 33rd as well, and a full table learns anew', () => {
  const table = new SsrcTable();
  for (let i = 0; i < MAX_KNOWN_SSRCS; i++) table.set(i * 0x10000, i % 3);
  for (let i = 0; i < MAX_KNOWN_SSRCS; i++) assert.equal(table.find(i * 0x10000), i % 3);
  assert.equal(table.find(0xffffffff), -1);
  table.set(0xffffffff, 2);
  assert.deepEqual([table.size, table.find(0xffffffff), table.find(0)], [1, 2, -1]);
  table.set(0, 1);
  assert.equal(table.find(0), 1);
  table.clear();
  assert.equal(table.find(0), -1);
});

test('a plain stream that starts again lower goes on upwards, whatever else is late, doubled or wrapped', () => {
  const cases: [string, number[], (number | undefined)[]][] = [
    ['in order across the wrap', [0xfffe, 0xffff, 0, 1], [0xfffe, 0xffff, 0, 1]],
    ['late and doubled packets', [100, 103, 101, 103, 104], [100, 103, 101, 103, 104]],
    ['a forward gap', [5, 20_000, 20_001], [5, 20_000, 20_001]],
    ['a new start', [20_000, 20_001, 7, 8, 9, 10], [20_000, 20_001, undefined, 20_002, 20_003, 20_004]],
    ['one stray packet', [20_000, 7, 20_001, 8, 20_002], [20_000, undefined, 20_001, undefined, 20_002]],
    ['two new starts', [9_000, 7, 8, 4, 5, 60_000, 60_001], [9_000, undefined, 9_001, 8_997, 8_998, undefined, 9_002]],
  ];
  for (const [name, sent, expected] of cases) {
    const map = new SequenceMap();
    const got = sent.map((sequence) => {
      const packet = rtp({ ssrc: 3, sequence });
      return map.follow(packet, 0) ? (packet[2]! << 8) | packet[3]! : undefined;
    });
    assert.deepEqual(got, expected, name);
  }
});

test('each stream of a transport has its own numbers, the 33rd as well', () => {
  const map = new SequenceMap();
  const follow = (ssrc: number, sequence: number) => map.follow(rtp({ ssrc, sequence }), 0);
  for (let ssrc = 1; ssrc <= OWN_SSRCS; ssrc++) assert.equal(follow(ssrc, 300 * ssrc), true);
  assert.equal(follow(2, 601), true);
  for (const ssrc of [30, 63]) {
    assert.equal(follow(ssrc, 5), false);
    const packet = rtp({ ssrc, sequence: 6 });
    assert.equal(map.follow(packet, 0), true);
    assert.equal((packet[2]! << 8) | packet[3]!, 300 * ssrc + 1);
  }
});

/** SSRC and sequence number as sent, or undefined. */
function sent(map: SequenceMap, ssrc: number, sequence: number): [number, number] | undefined {
  const packet = rtp({ ssrc, sequence });
  const view = new DataView(packet.buffer);
  return map.follow(packet, 0) ? [view.getUint32(8), view.getUint16(2)] : undefined;
}

test('more sources than may have an SSRC of their own share one, whose numbers go upwards', () => {
  const map = new SequenceMap();
  for (let ssrc = 1; ssrc <= OWN_SSRCS; ssrc++) assert.deepEqual(sent(map, ssrc, 9), [ssrc, 9]);
  assert.deepEqual(
    [sent(map, 70, 50_000), sent(map, 70, 50_001)],
    [
      [70, 50_000],
      [70, 50_001],
    ],
  );
  const strays = Array.from({ length: 5000 }, (_, i) => sent(map, 1000 + i, 1));
  assert.deepEqual(new Set(strays), new Set([undefined]), 'a source of one packet is none');
  assert.equal(map.count, OWN_SSRCS + 1);
  assert.deepEqual([sent(map, 80, 7), sent(map, 80, 8), sent(map, 80, 10)], [undefined, [70, 50_002], [70, 50_004]]);
  assert.deepEqual([sent(map, 70, 50_002), sent(map, 70, 50_003)], [undefined, [70, 50_005]], 'the first one again');
  assert.deepEqual(
    [sent(map, 80, 9000), sent(map, 80, 9001), sent(map, 80, 9002)],
    [undefined, [70, 50_006], [70, 50_007]],
  );
  assert.deepEqual([sent(map, 80, 5), sent(map, 80, 6), sent(map, 80, 7)], [undefined, [70, 50_008], [70, 50_009]]);
  assert.deepEqual(sent(map, 3, 10), [3, 10], 'those with an SSRC of their own go on');
});

test('a sender that is doubted takes no room of the phone that comes after it', () => {
  const lock = { isDoubtful: true };
  const map = new SequenceMap(lock);
  for (let ssrc = 1; ssrc <= 5000; ssrc++) sent(map, ssrc, 1);
  assert.equal(map.count, DOUBTFUL_SSRCS + 1);
  lock.isDoubtful = false;
  assert.deepEqual(sent(map, 9000, 1), [9000, 1]);
});

test('behind a splice another source goes on as the same stream, across wraps, late packets and a third source', () => {
  const splice = new Splice();
  const sent = (ssrc: number, sequence: number, timestamp: number) => {
    const packet = rtp({ ssrc, sequence, timestamp });
    splice.follow(packet, 0);
    const view = new DataView(packet.buffer, packet.byteOffset);
    return [view.getUint32(8), view.getUint16(2), view.getUint32(4), packet[1]! >> 7];
  };
  splice.arm();
  assert.equal(splice.isOn, false, 'nothing was sent yet: there is nothing to go on from');
  assert.deepEqual(sent(7, 65_533, 4_294_967_000), [7, 65_533, 4_294_967_000, 0], 'watched, not changed');
  assert.deepEqual(sent(7, 65_534, 4_294_967_080), [7, 65_534, 4_294_967_080, 0]);
  splice.arm();
  assert.deepEqual(sent(99, 12, 500), [7, 65_535, 4_294_967_160, 1]);
  assert.deepEqual(sent(99, 14, 660), [7, 1, 24, 0], 'a lost packet stays a gap');
  assert.deepEqual(sent(99, 13, 580), [7, 0, 4_294_967_240, 0], 'and a late one is late');
  assert.deepEqual([splice.outward(99), splice.inward(7), splice.outward(5)], [7, 99, 5]);
  assert.deepEqual(sent(100, 40_000, 9), [7, 2, 184, 1], 'a third source goes on behind the newest packet');
});
