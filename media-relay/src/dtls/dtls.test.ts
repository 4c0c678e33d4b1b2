import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { hex, seededRandom } from '@offhook/core';
import { monotonicMs } from '@offhook/core/node';
import fc from 'fast-check';
import { SrtpContext } from '../srtp/index.ts';
import {
  type DtlsCommand,
  DtlsEndpoint,
  dtlsSelfTest,
  fingerprintOf,
  liveDtlsEndpoints,
  makeCertificate,
  matchesFingerprint,
} from './index.ts';
import { packRecords, RECORD_HEADER, SHORTEST_GCM_RECORD, screenRecords } from './records.ts';

const alice = makeCertificate();
const bob = makeCertificate();
after(() => {
  alice.close();
  bob.close();
  assert.equal(liveDtlsEndpoints(), 0, 'every OpenSSL session was freed');
});

type Of<K extends DtlsCommand['kind']> = Extract<DtlsCommand, { kind: K }>;

function pair() {
  return {
    client: new DtlsEndpoint({ role: 'client', certificate: alice }),
    server: new DtlsEndpoint({ role: 'server', certificate: bob }),
  };
}

/** Everything an endpoint has to say now. */
function drain(endpoint: DtlsEndpoint) {
  const sent: Uint8Array[] = [];
  const said: Exclude<DtlsCommand, { kind: 'send' }>[] = [];
  for (let command = endpoint.poll(); command; command = endpoint.poll())
    if (command.kind === 'send') sent.push(command.bytes);
    else said.push(command);
  return { sent, said };
}

/** Runs a handshake without loss; every datagram of the client passes through `mangle`. */
function connect(
  { client, server }: ReturnType<typeof pair>,
  mangle: (datagram: Uint8Array) => Uint8Array[] = (datagram) => [datagram],
) {
  const flights: Uint8Array[] = [];
  const done: { client?: DtlsCommand; server?: DtlsCommand } = {};
  client.handleStart(monotonicMs());
  for (let round = 0; round < 6; round++) {
    const fromClient = drain(client);
    done.client ??= fromClient.said[0];
    for (const datagram of fromClient.sent) {
      flights.push(datagram);
      for (const part of mangle(datagram)) server.handlePacket(part, monotonicMs());
    }
    const fromServer = drain(server);
    done.server ??= fromServer.said[0];
    for (const datagram of fromServer.sent) {
      flights.push(datagram);
      client.handlePacket(datagram, monotonicMs());
    }
  }
  return { ...done, flights };
}

function assertConnected(command: DtlsCommand | undefined): asserts command is Of<'connected'> {
  assert.equal(command?.kind, 'connected', JSON.stringify(command));
}

function assertSameKeys(client: Of<'connected'>, server: Of<'connected'>): void {
  assert.equal(client.profile, server.profile);
  assert.equal(hex(client.local.key) + hex(client.local.salt), hex(server.remote.key) + hex(server.remote.salt));
  assert.equal(hex(client.remote.key) + hex(client.remote.salt), hex(server.local.key) + hex(server.local.salt));
  assert.notEqual(hex(client.local.key), hex(client.remote.key));
}

test('the self-test passes on this machine', () => {
  assert.equal(dtlsSelfTest(), undefined);
});

test('both roles agree on AES-GCM, keys, extended master secret and each other’s certificate', () => {
  const ends = pair();
  const { client, server, flights } = connect(ends);
  assertConnected(client);
  assertConnected(server);
  assert.equal(client.profile, 'AEAD_AES_128_GCM');
  assert.equal(client.local.key.length, 16);
  assert.equal(client.local.salt.length, 12);
  assertSameKeys(client, server);
  assert.ok(client.extendedMasterSecret && server.extendedMasterSecret);
  assert.ok(matchesFingerprint(client.peerCertificate, bob.fingerprint));
  assert.ok(matchesFingerprint(server.peerCertificate, alice.fingerprint));
  assert.ok(!matchesFingerprint(server.peerCertificate, bob.fingerprint));
  assert.ok(flights.every((datagram) => datagram.length <= 1200));
  const protect = new SrtpContext(client.local, 'protect');
  const unprotect = new SrtpContext(server.remote, 'unprotect');
  const packet = new Uint8Array(80).fill(0x80);
  assert.equal(unprotect.unprotect(packet, 0, protect.protect(packet, 0, 60)), 60);
  protect.close();
  unprotect.close();
  assert.equal(ends.client.nextTimeout(), undefined);
  assert.equal(ends.server.nextTimeout(), undefined);
  ends.client.close();
  ends.server.close();
});

test('close says close_notify; the other side ends and both are silent afterwards', () => {
  const ends = pair();
  connect(ends);
  ends.client.close();
  ends.client.close();
  const { sent } = drain(ends.client);
  assert.equal(sent.length, 1);
  ends.server.handlePacket(sent[0]!, monotonicMs());
  assert.deepEqual(drain(ends.server).said, [{ kind: 'closed' }]);
  ends.server.handlePacket(sent[0]!, monotonicMs());
  ends.client.handlePacket(sent[0]!, monotonicMs());
  ends.server.handleTimeout(monotonicMs());
  ends.server.close();
  assert.deepEqual([ends.client.poll(), ends.server.poll()], [undefined, undefined]);
});

/** Cuts the one handshake message of a datagram (a ClientHello) into fragments of at most `size` bytes (RFC 6347 4.2.3). */
function fragment(datagram: Uint8Array, size: number): Uint8Array[] {
  const message = datagram.subarray(RECORD_HEADER);
  const body = message.subarray(12);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    const out = new Uint8Array(RECORD_HEADER + 12 + piece.length);
    const view = new DataView(out.buffer);
    out.set(datagram.subarray(0, RECORD_HEADER));
    view.setUint16(11, 12 + piece.length);
    out.set(message.subarray(0, 6), RECORD_HEADER);
    out.set([at >> 16, at >> 8, at, piece.length >> 16, piece.length >> 8, piece.length], RECORD_HEADER + 6);
    out.set(piece, RECORD_HEADER + 12);
    parts.push(out);
  }
  return parts;
}

function withSequence(record: Uint8Array, sequence: number): Uint8Array {
  const copy = record.slice();
  copy[10] = sequence;
  return copy;
}

/** Makes room for the fragments in the record numbers of the unencrypted epoch: 256 is added. */
function renumber(datagram: Uint8Array): Uint8Array {
  const copy = datagram.slice();
  for (let at = 0; at < copy.length; at += RECORD_HEADER + ((copy[at + 11]! << 8) | copy[at + 12]!))
    if (copy[at + 4] === 0) copy[at + 9] = 1;
  return copy;
}

for (const [name, size, arrange] of [
  ['two fragments', 100, (parts) => parts],
  ['many fragments', 20, (parts) => parts],
  ['fragments in reverse', 30, (parts) => parts.toReversed()],
  ['fragments twice', 50, (parts) => [...parts, ...parts]],
] as const satisfies readonly (readonly [string, number, (parts: Uint8Array[]) => Uint8Array[]])[]) {
  test(`a ClientHello in ${name} is put together`, () => {
    const ends = pair();
    let first = true;
    const { client, server } = connect(ends, (datagram) => {
      if (!first) return [renumber(datagram)];
      first = false;
      const parts = fragment(datagram, size);
      assert.ok(parts.length >= 2);
      return arrange(parts).map((part, n) => withSequence(part, n));
    });
    assertConnected(client);
    assertConnected(server);
    assertSameKeys(client, server);
    ends.client.close();
    ends.server.close();
  });
}

test('nothing that comes after the handshake drops the keys: ClientHello, replays, garbage', () => {
  const ends = pair();
  const { flights } = connect(ends);
  const stranger = new DtlsEndpoint({ role: 'client', certificate: alice });
  stranger.handleStart(monotonicMs());
  const hello = drain(stranger).sent[0]!;
  stranger.close();
  const now = monotonicMs();
  for (const end of [ends.server, ends.client]) {
    end.handlePacket(hello, now);
    for (const datagram of flights) end.handlePacket(datagram, now);
    for (const alert of ['15fefd000000000000000900020228', '15fefd000100000000000900020100'])
      end.handlePacket(Buffer.from(alert, 'hex'), now);
  }
  for (const type of [20, 21, 22, 23, 25])
    for (let length = 0; length < 60; length++)
      for (const sequence of [0, 9, 255]) {
        const record = Uint8Array.of(
          type,
          0xfe,
          0xfd,
          0,
          1,
          0,
          0,
          0,
          0,
          0,
          sequence,
          0,
          length,
          ...new Uint8Array(length),
        );
        ends.server.handlePacket(record, now);
        ends.client.handlePacket(record, now);
      }
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 63 }), fc.uint8Array({ maxLength: 300 }), (first, rest) => {
      const junk = Uint8Array.of(first, ...rest);
      ends.server.handlePacket(junk, now);
      ends.client.handlePacket(junk, now);
    }),
  );
  fc.assert(
    fc.property(
      fc.nat(flights.length - 1),
      fc.nat(),
      fc.nat(255),
      fc.integer({ min: 0, max: 2 }),
      (which, at, value, epoch) => {
        const copy = flights[which]!.slice();
        copy[4] = epoch;
        copy[at % copy.length] = value;
        ends.server.handlePacket(copy, now);
        ends.client.handlePacket(copy, now);
      },
    ),
  );
  assert.deepEqual(drain(ends.server).said, []);
  assert.deepEqual(drain(ends.client).said, []);
  ends.client.close();
  for (const bytes of drain(ends.client).sent) ends.server.handlePacket(bytes, monotonicMs());
  assert.deepEqual(drain(ends.server).said, [{ kind: 'closed' }]);
});

test('garbage during the handshake is dropped', () => {
  const ends = pair();
  const junk = seededRandom(7);
  const { client, server } = connect(ends, (datagram) => {
    const noise = Array.from({ length: 20 }, () => {
      const bytes = Uint8Array.from({ length: 1 + Math.floor(junk.next() * 200) }, () => Math.floor(junk.next() * 256));
      bytes[0] = 20 + Math.floor(junk.next() * 44);
      return bytes;
    });
    return [...noise, new Uint8Array(5000), datagram.subarray(0, 10), datagram, ...noise];
  });
  assertConnected(client);
  assertConnected(server);
  ends.client.close();
  ends.server.close();
});

test('no byte a stranger sends makes an endpoint throw', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('server', 'client'),
      fc.array(fc.tuple(fc.constantFrom(20, 21, 22, 23, 25, 63), fc.nat(1), fc.uint8Array({ maxLength: 400 })), {
        maxLength: 5,
      }),
      (role, records) => {
        const end = new DtlsEndpoint({ role, certificate: alice });
        end.handleStart(0);
        for (const [type, epoch, body] of records) {
          const length = body.length;
          end.handlePacket(
            Uint8Array.of(type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, length >> 8, length & 255, ...body),
            0,
          );
        }
        drain(end);
        end.close();
      },
    ),
  );
});

test('a plaintext alert, which anybody can forge, ends no handshake, whoever it comes to and whenever', () => {
  for (const alert of ['15fefd000000000000000f00020228', '15fefd000000000000000f00020100']) {
    const forged = Buffer.from(alert, 'hex');
    const ends = pair();
    const { client, server } = connect(ends, (datagram) => {
      ends.client.handlePacket(forged, monotonicMs());
      return [forged, datagram, forged];
    });
    assertConnected(client);
    assertConnected(server);
    ends.client.close();
    ends.server.close();
  }
});

test('a handshake that goes wrong fails in words', () => {
  const end = new DtlsEndpoint({ role: 'client', certificate: alice });
  end.handleStart(monotonicMs());
  // A ServerHello of two bytes.
  end.handlePacket(Buffer.from('16fefd000000000000000f000e0200000200000000000000020303', 'hex'), monotonicMs());
  const { said } = drain(end);
  assert.equal(said.length, 1);
  assert.match((said[0] as Of<'failed'>).reason, /^DTLS: .*length/);
  assert.equal(end.nextTimeout(), undefined);
});

test('a client without an answer sends its ClientHello again, each time later', async () => {
  const end = new DtlsEndpoint({ role: 'client', certificate: alice });
  end.handleStart(monotonicMs());
  assert.equal(drain(end).sent.length, 1);
  const waits: number[] = [];
  for (let n = 0; n < 3; n++) {
    const at = end.nextTimeout()!;
    waits.push(at - monotonicMs());
    let sent = 0;
    while (sent === 0) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, end.nextTimeout()! - monotonicMs())));
      end.handleTimeout(monotonicMs());
      sent = drain(end).sent.length;
    }
    assert.equal(sent, 1);
  }
  assert.ok(waits[0]! <= 100 && waits[1]! > waits[0]! * 1.4 && waits[2]! > waits[1]! * 1.4, waits.join(' '));
  end.close();
});

/** Connects over a path that loses, repeats and reorders datagrams; real time, because OpenSSL reads the clock. */
async function connectOverBadPath(seed: number, loss: number): Promise<void> {
  const random = seededRandom(seed);
  const ends = pair();
  const connected = new Map<DtlsEndpoint, Of<'connected'>>();
  ends.client.handleStart(monotonicMs());
  let waiting: { to: DtlsEndpoint; bytes: Uint8Array }[] = [];
  const collect = () => {
    for (const [from, to] of [
      [ends.client, ends.server],
      [ends.server, ends.client],
    ] as const) {
      const { sent, said } = drain(from);
      for (const command of said) {
        assertConnected(command);
        connected.set(from, command);
      }
      for (const bytes of sent) {
        if (random.next() >= loss) waiting.push({ to, bytes });
        if (random.next() < 0.2) waiting.push({ to, bytes });
      }
    }
  };
  collect();
  const endsAtMs = monotonicMs() + 20_000;
  while (connected.size < 2) {
    assert.ok(monotonicMs() < endsAtMs, `seed ${seed}: no connection`);
    if (waiting.length > 0) {
      const shuffled = waiting.toSorted(() => random.next() - 0.5);
      waiting = [];
      for (const { to, bytes } of shuffled) to.handlePacket(bytes, monotonicMs());
    } else {
      const next = Math.min(...[ends.client, ends.server].map((end) => end.nextTimeout() ?? Number.POSITIVE_INFINITY));
      assert.ok(next < Number.POSITIVE_INFINITY, `seed ${seed}: nobody has a timer`);
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, next - monotonicMs())));
      ends.client.handleTimeout(monotonicMs());
      ends.server.handleTimeout(monotonicMs());
    }
    collect();
  }
  assertSameKeys(connected.get(ends.client)!, connected.get(ends.server)!);
  ends.client.close();
  ends.server.close();
}

test('handshakes end well under 30 % loss with repetition and reordering', async () => {
  await Promise.all(Array.from({ length: 60 }, (_, seed) => connectOverBadPath(seed, 0.3)));
});

test('hundreds of associations leave no session behind', () => {
  const before = liveDtlsEndpoints();
  for (let n = 0; n < 200; n++) {
    const ends = pair();
    if (n % 2) connect(ends);
    else ends.client.handleStart(0); // given up half-way
    ends.client.close();
    ends.server.close();
  }
  assert.equal(liveDtlsEndpoints(), before);
});

test('fingerprints: other hash functions, letter case, several lines, and nothing that can’t be read', () => {
  const der = alice.der;
  assert.equal(fingerprintOf(der), alice.fingerprint);
  assert.match(alice.fingerprint, /^sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  for (const hash of ['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512'] as const)
    assert.ok(matchesFingerprint(der, fingerprintOf(der, hash).toLowerCase()), hash);
  assert.ok(matchesFingerprint(der, [bob.fingerprint, alice.fingerprint]));
  // the most preferred hash function decides (RFC 8122 5)
  assert.ok(!matchesFingerprint(der, [fingerprintOf(bob.der, 'sha-512'), alice.fingerprint]));
  for (const bad of [
    '',
    'sha-256',
    'sha-256 ',
    'md5 00:11',
    'sha-256 00:11',
    alice.fingerprint.slice(0, -3),
    '__proto__ 00',
  ])
    assert.ok(!matchesFingerprint(der, bad), bad);
  assert.ok(!matchesFingerprint(der, []));
  assert.notEqual(alice.fingerprint, bob.fingerprint);
});

test('records that are too short for any cipher, plaintext alerts and torn ones are screened out; the others stay', () => {
  const record = (epoch: number, body: number, type = 23) =>
    Buffer.concat([
      Buffer.from([type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, body >> 8, body & 255]),
      Buffer.alloc(body, body),
    ]);
  const good = [record(0, 2), record(1, 25), record(2, 300), record(1, 26, 21)];
  const bad = [record(1, 24), record(9, 0), record(0, 2, 21), record(1, 40).subarray(0, 30)];
  const run = Buffer.concat(good.flatMap((one, i) => [one, bad[i]!]));
  const kept = screenRecords(run, run.length, SHORTEST_GCM_RECORD);
  assert.deepEqual(run.subarray(0, kept), Buffer.concat(good));
  assert.equal(screenRecords(Buffer.alloc(12), 12, SHORTEST_GCM_RECORD), 0);
});

test('records are packed into datagrams without being cut', () => {
  const record = (n: number) => {
    const bytes = new Uint8Array(RECORD_HEADER + n).fill(n);
    bytes.set([22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, n >> 8, n & 255]);
    return bytes;
  };
  const run = Buffer.concat([record(500), record(600), record(100), record(1500), record(10)]);
  const datagrams = packRecords(run, 1200);
  assert.deepEqual(
    datagrams.map((d) => d.length - RECORD_HEADER * (d.length === 500 + 600 + 26 ? 2 : 1)),
    [1100, 100, 1500, 10],
  );
  assert.deepEqual(Buffer.concat(datagrams), run);
  assert.deepEqual(packRecords(run.subarray(0, 100), 1200), []);
});
