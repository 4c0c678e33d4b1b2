import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { nodeCrypto } from '@offhook/core/node';
import { encode, type Resource, TRUNCATED_RESPONSE } from 'dns-packet';
import { DnsClient, serverAt } from './dns-client.ts';
import { decodeReply, encodeQuestion } from './dns-message.ts';
import { Locator } from './locator.ts';
import { A, nameServer } from './testkit/name-server.ts';

function client(
  t: TestContext,
  servers: readonly string[],
  over: Partial<ConstructorParameters<typeof DnsClient>[0]> = {},
): DnsClient {
  const made = new DnsClient({
    crypto: nodeCrypto,
    servers,
    serverMs: 200,
    hostsPath: '/nowhere',
    lookup: async () => [],
    ...over,
  });
  t.after(() => {
    assert.equal(made.open, 0, 'no socket is left');
    made.close();
  });
  return made;
}

const question = { name: 'example.org', type: 'A' } as const;
const found = {
  kind: 'answer',
  rcode: 'NOERROR',
  additionals: [],
  answers: [{ name: 'example.org', type: 'A', ttlS: 60, address: '192.0.2.1' }],
};

test('a question has EDNS with 1232 bytes, a random id and a port of its own; the answer is read', async (t) => {
  const server = await nameServer(t, () => ({ answers: [A('Example.ORG')] }));
  const dns = client(t, [server.address]);
  for (let i = 0; i < 8; i++) assert.deepEqual(await dns.ask(question), found);
  const { query } = server.queries[0]!;
  assert.deepEqual(query.questions, [{ name: 'example.org', type: 'A', class: 'IN' }]);
  assert.equal(query.additionals?.[0]?.udpPayloadSize, 1232);
  assert.ok(new Set(server.queries.map((each) => each.query.id)).size > 4);
  assert.ok(new Set(server.queries.map((each) => each.from)).size > 4);
});

test('all kinds of records are read; what is none is left out', async (t) => {
  const records: Record<string, Resource[]> = {
    SRV: [
      {
        name: 'example.org',
        type: 'SRV',
        ttl: 5,
        data: { priority: 1, weight: 2, port: 3, target: 'One.example.org' },
      },
      { name: 'example.org', type: 'TXT', ttl: 5, data: 'no' },
    ],
    NAPTR: [
      {
        name: 'example.org',
        type: 'NAPTR',
        ttl: 5,
        data: {
          order: 1,
          preference: 2,
          flags: 's',
          services: 'SIP+D2U',
          regexp: '',
          replacement: '_sip._udp.example.org',
        },
      },
    ],
    AAAA: [
      { name: 'example.org', type: 'AAAA', ttl: 5, data: '2001:db8:0:0::1' },
      { name: 'example.org', type: 'AAAA', ttl: 5, data: '::ffff:192.0.2.1' },
      { name: 'example.org', type: 'A', class: 'CH', ttl: 5, data: '192.0.2.1' },
    ],
  };
  const server = await nameServer(t, ({ questions }) => ({ answers: records[questions![0]!.type] }));
  const dns = client(t, [server.address]);
  const ask = async (type: 'SRV' | 'NAPTR' | 'AAAA') => {
    const reply = await dns.ask({ name: 'example.org', type });
    assert.ok(reply.kind === 'answer');
    return reply.answers;
  };
  const common = { name: 'example.org', ttlS: 5 };
  assert.deepEqual(await ask('SRV'), [
    { ...common, type: 'SRV', priority: 1, weight: 2, port: 3, target: 'one.example.org' },
  ]);
  assert.deepEqual(await ask('NAPTR'), [
    {
      ...common,
      type: 'NAPTR',
      order: 1,
      preference: 2,
      flags: 's',
      services: 'SIP+D2U',
      regexp: '',
      replacement: '_sip._udp.example.org',
    },
  ]);
  assert.deepEqual(await ask('AAAA'), [{ ...common, type: 'AAAA', address: '2001:db8::1' }]);
});

test('that there is nothing comes with how long that is true (RFC 2308)', async (t) => {
  const soa = (ttl: number, minimum: number): Resource => ({
    name: 'org',
    type: 'SOA',
    ttl,
    data: { mname: 'a.org', rname: 'b.org', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
  });
  const server = await nameServer(t, ({ questions }) => {
    return questions![0]!.name === 'empty.org'
      ? { authorities: [soa(30, 900)] }
      : { flags: 3, authorities: [soa(900, 20)] };
  });
  const dns = client(t, [server.address]);
  const none = { kind: 'answer', answers: [], additionals: [] };
  assert.deepEqual(await dns.ask({ name: 'empty.org', type: 'A' }), { ...none, rcode: 'NOERROR', negativeTtlS: 30 });
  assert.deepEqual(await dns.ask({ name: 'missing.org', type: 'A' }), { ...none, rcode: 'NXDOMAIN', negativeTtlS: 20 });
});

test('an answer to another id, or to another question, is not taken; the right one behind it is', async (t) => {
  const forged = A('example.org', '203.0.113.66');
  const other = [{ name: 'example.com', type: 'A' }];
  const server = await nameServer(t, ({ id }) => [
    { id: (id! + 1) & 0xffff, answers: [forged] },
    { questions: other, answers: [forged] },
    { questions: [{ name: 'example.org', type: 'AAAA' }], answers: [forged] },
    { questions: [], answers: [forged] },
    { type: 'query', answers: [forged] },
    Buffer.from('rubbish'),
    Buffer.alloc(12, 255),
    { answers: [A('example.org')] },
  ]);
  assert.deepEqual(await client(t, [server.address]).ask(question), found);
  assert.equal(server.queries.length, 1);
});

test('an answer that is cut short is asked for over TCP, and comes whole', async (t) => {
  const many = Array.from({ length: 150 }, (_, i) => A('example.org', `192.0.2.${i}`));
  const server = await nameServer(t, (_query, over) =>
    over === 'udp' ? { flags: TRUNCATED_RESPONSE, answers: [A('example.org', '203.0.113.66')] } : { answers: many },
  );
  const reply = await client(t, [server.address]).ask(question);
  assert.ok(reply.kind === 'answer');
  assert.equal(reply.answers.length, 150);
  assert.deepEqual(
    server.queries.map(({ over }) => over),
    ['udp', 'tcp'],
  );
  await server.left();
});

test('a server that is silent, refuses, or whose port is closed is followed by the second one', async (t) => {
  const good = await nameServer(t, () => ({ answers: [A('example.org')] }));
  const silent = await nameServer(t, () => undefined);
  const refusing = await nameServer(t, () => ({ flags: 5 }));
  const closed = createSocket('udp4').bind(0, '127.0.0.1');
  await once(closed, 'listening');
  const closedAt = `127.0.0.1:${closed.address().port}`;
  await new Promise<void>((resolve) => closed.close(() => resolve()));
  for (const first of [silent.address, refusing.address, closedAt, 'rubbish'])
    assert.deepEqual(await client(t, [first, good.address]).ask(question), found, first);
});

test('two rounds, the second without EDNS for old servers; then it has failed, and how', async (t) => {
  const old = await nameServer(t, ({ additionals }) =>
    additionals!.length > 0 ? { flags: 1 } : { answers: [A('example.org')] },
  );
  assert.deepEqual(await client(t, [old.address]).ask(question), found);
  const failing = await nameServer(t, () => ({ flags: 2 }));
  assert.deepEqual(await client(t, [failing.address]).ask(question), { kind: 'failure', rcode: 'SERVFAIL' });
  assert.equal(failing.queries.length, 2);
  assert.deepEqual(await client(t, []).ask(question), { kind: 'failure', rcode: undefined });
});

test('servers that are silent are not waited for so long again, until one speaks', async (t) => {
  let speaks = false;
  const server = await nameServer(t, () => (speaks ? { answers: [A('example.org')] } : undefined));
  const dns = client(t, [server.address], { serverMs: 60 });
  assert.deepEqual(await dns.ask(question), { kind: 'failure', rcode: undefined });
  assert.equal(server.queries.length, 2);
  assert.deepEqual(await dns.ask(question), { kind: 'failure', rcode: undefined });
  assert.equal(server.queries.length, 3, 'one round');
  speaks = true;
  assert.deepEqual(await dns.ask(question), found);
});

test('names of the hosts file and localhost need no server; the system is asked where DNS has nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'oh-hosts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const hostsPath = join(folder, 'hosts');
  writeFileSync(
    hostsPath,
    '# 192.0.2.9 example.org\n192.0.2.7\tpbx  Example.org # ours\n2001:db8::7 example.org\nrubbish pbx\n',
  );
  const server = await nameServer(t, () => ({ flags: 3 }));
  const looked: string[] = [];
  const lookup = async (name: string, family: 4 | 6) => {
    looked.push(`${name} ${family}`);
    return name === 'printer.local' ? ['192.0.2.8'] : [];
  };
  const dns = client(t, [server.address], { hostsPath, lookup });
  const addresses = async (name: string, type: 'A' | 'AAAA' | 'SRV' = 'A') => {
    const reply = await dns.ask({ name, type });
    return reply.kind === 'answer'
      ? reply.answers.map((record) => ('address' in record ? record.address : record.type))
      : 'failure';
  };
  assert.deepEqual(await addresses('example.org'), ['192.0.2.7']);
  assert.deepEqual(await addresses('example.org', 'AAAA'), ['2001:db8::7']);
  assert.deepEqual(await addresses('pbx'), ['192.0.2.7']);
  assert.deepEqual(await addresses('localhost'), ['127.0.0.1']);
  assert.deepEqual(await addresses('phone.localhost', 'AAAA'), ['::1']);
  assert.deepEqual(await addresses('_sip._udp.localhost', 'SRV'), []);
  assert.equal(server.queries.length, 0);
  assert.deepEqual(await addresses('printer.local'), ['192.0.2.8']);
  assert.deepEqual(await addresses('example.org', 'SRV'), []);
  assert.deepEqual(await addresses('missing.example'), []);
  assert.deepEqual(looked, ['printer.local 4', 'missing.example 4']);
});

test('with the machine: an answer is used until its TTL is over, then asked for anew', async (t) => {
  let address = '192.0.2.1';
  const server = await nameServer(t, ({ questions }) =>
    questions![0]!.type === 'A' ? { answers: [A('example.org', address, 30)] } : {},
  );
  const dns = client(t, [server.address]);
  const locator = new Locator({ crypto: nodeCrypto });
  const look = async (nowMs: number): Promise<string> => {
    let found = '';
    locator.locate('sip:example.org:5060', nowMs, (result) => {
      if ('flow' in result) found = result.flow.remote.address;
    });
    for (let c = locator.poll(); c; c = locator.poll()) {
      if (c.kind === 'question') locator.handleAnswer(c.id, await dns.ask(c), nowMs);
      else if (c.kind === 'open') {
        const { address: to, port } = c.hop;
        const local = { address: '127.0.0.1', port: 5060 };
        locator.handleOpened(c.id, { flow: { id: 1, transport: 'udp', local, remote: { address: to, port } } }, nowMs);
      }
    }
    return found;
  };
  assert.equal(await look(0), '192.0.2.1');
  address = '192.0.2.2';
  assert.equal(await look(29_999), '192.0.2.1');
  assert.equal(server.queries.length, 1);
  assert.equal(await look(30_000), '192.0.2.2');
  assert.equal(locator.waiting, 0);
});

test('at most 64 questions have a socket at a time; closing ends them all', async (t) => {
  const server = await nameServer(t, () => undefined);
  const dns = client(t, [server.address], { serverMs: 60_000 });
  const asked = Array.from({ length: 100 }, (_, i) => dns.ask({ name: `n${i}.example`, type: 'A' }));
  await server.until(64);
  assert.equal(dns.open, 64);
  dns.close();
  for (const reply of await Promise.all(asked)) assert.equal(reply.kind, 'failure');
});

test('bytes from a server never throw, whatever is changed in them', () => {
  const answers = [
    A('example.org'),
    { name: 'example.org', type: 'SRV', ttl: 5, data: { priority: 1, weight: 2, port: 3, target: 'one.example.org' } },
    {
      name: 'example.org',
      type: 'NAPTR',
      ttl: 5,
      data: { order: 1, preference: 2, flags: 's', services: 'x', regexp: '', replacement: 'y' },
    },
  ];
  const good = encode({ type: 'response', id: 7, questions: [{ name: 'example.org', type: 'A' }], answers });
  assert.ok(decodeReply(good, 7, question));
  for (let at = 0; at < good.length; at++) {
    decodeReply(good.subarray(0, at), 7, question);
    for (const value of [0, 1, 0x3f, 0x80, 0xc0, 0xff]) {
      const changed = Buffer.from(good);
      changed[at] = value;
      decodeReply(changed, 7, question);
    }
  }
  assert.equal(decodeReply(encodeQuestion(7, question, 'plain'), 7, question), undefined);
});

test('servers are addresses, with or without a port', () => {
  assert.deepEqual(serverAt('192.0.2.53'), { address: '192.0.2.53', port: 53 });
  assert.deepEqual(serverAt('192.0.2.53:5353'), { address: '192.0.2.53', port: 5353 });
  assert.deepEqual(serverAt('2001:db8::53'), { address: '2001:db8::53', port: 53 });
  assert.deepEqual(serverAt('[2001:db8::53]:5353'), { address: '2001:db8::53', port: 5353 });
  assert.equal(serverAt('dns.example.org'), undefined);
});
