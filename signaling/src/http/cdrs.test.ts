import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOMAIN, PASSWORD, type RunningServer, startServer } from '../server/testkit/running.ts';
import { SipClient } from '../server/testkit/sip-client.ts';

interface Record_ {
  readonly id: string;
  readonly startedAt: number;
  readonly from: string;
  readonly to: string;
  readonly status: number;
}

async function signIn(server: RunningServer, user: string): Promise<string> {
  const response = await fetch(`${server.url}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ user, password: PASSWORD }),
  });
  return ((await response.json()) as { session: string }).session;
}

async function calls(server: RunningServer, caller: string, session: string, to: readonly string[], privacy?: string) {
  await using phone = await SipClient.webSocket(`${server.url.replace('http', 'ws')}/sip`, [
    'sip',
    `offhook.session.${session}`,
  ]);
  const contact = ['Contact', '<sip:x@client.invalid;transport=ws>'] as const;
  const headers = privacy === undefined ? [contact] : [contact, ['Privacy', privacy] as const];
  for (const user of to)
    assert.ok((await phone.request('INVITE', caller, headers, `sip:${user}@${DOMAIN}`)).status >= 400);
}

test('own records are searched, paged and exported; nobody else’s, and no private caller, can be found', async () => {
  await using server = await startServer();
  const [alice, bob] = [await signIn(server, 'alice'), await signIn(server, 'bob')];
  await calls(server, 'alice', alice, ['bob', 'bob', 'bob']);
  await calls(server, 'alice', alice, ['bob'], 'id');
  const get = async (query: string, session: string | undefined = bob) => {
    const response = await fetch(`${server.url}/api/cdrs${query}`, {
      headers: { connection: 'close', authorization: `Bearer ${session}` },
    });
    const body = await response.text();
    return { status: response.status, headers: response.headers, body };
  };
  const records = async (query: string, session?: string) => {
    const { status, body } = await get(query, session);
    assert.equal(status, 200, body);
    return JSON.parse(body) as Record_[];
  };
  const all = await records('');
  assert.deepEqual(
    all.map(({ from, to, status }) => [from, to, status]),
    [
      ['anonymous', 'bob', 480],
      ['alice', 'bob', 480],
      ['alice', 'bob', 480],
      ['alice', 'bob', 480],
    ],
  );
  assert.equal((await records('?from=alice')).length, 3);
  assert.equal((await records('?with=alice&direction=in&status=480')).length, 3);
  assert.equal((await records('?from=anonymous')).length, 1);
  assert.equal((await records('?from=alice', alice)).length, 4, 'the caller knows who called');
  assert.equal((await records('?answered=true')).length, 0);
  assert.equal((await records(`?until=${all[1]!.startedAt}&since=${all[3]!.startedAt}`)).length >= 1, true);

  const paged: string[] = [];
  for (let next: string | undefined = '/api/cdrs?limit=1&direction=in'; next !== undefined; ) {
    const page = await get(next.slice('/api/cdrs'.length));
    paged.push(...(JSON.parse(page.body) as Record_[]).map(({ id }) => id));
    next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
  }
  assert.deepEqual(
    paged,
    all.map(({ id }) => id),
  );
  assert.deepEqual(await records(`?before=${all[3]!.startedAt}`), [], 'a start time alone, as before');

  const csv = await get('?format=csv&from=anonymous');
  assert.match(csv.headers.get('content-type') ?? '', /^text\/csv; charset=utf-8/);
  assert.match(csv.headers.get('content-disposition') ?? '', /attachment; filename="calls\.csv"/);
  assert.match(csv.body, /^id,startedAt,.*\r\n[0-9a-f]{24},.*,anonymous,bob,,480,/);
  assert.doesNotMatch(csv.body, /alice/);

  for (const [query, words] of [
    ['?status=busy', /^status: /],
    ['?format=xml', /^format: /],
    ['?user=alice', /^user: no such parameter/],
    ['?limit=501', /^limit: /],
    ['?status=4xx&status=5xx', /^status: given more than once/],
  ] as const) {
    const { status, body } = await get(query);
    assert.equal(status, 400, query);
    assert.match((JSON.parse(body) as { error: { message: string } }).error.message, words);
  }
  assert.equal((await get('?format=csv&limit=10000')).status, 200);
  assert.equal((await get('', '')).status, 401);

  const found = (await server.verb('cdrs', { from: 'alice', user: 'bob', limit: 9 })) as { records: Record_[] };
  assert.equal(found.records.length, 4, 'nobody is hidden from who runs the server');
  await assert.rejects(server.verb('cdrs', { direction: 'in' }), /needs user/);
});
