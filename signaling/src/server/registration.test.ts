import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOMAIN, PASSWORD, type RunningServer, startServer } from './testkit/running.ts';
import { SipClient } from './testkit/sip-client.ts';

const CLIENTS: Readonly<Record<string, (server: RunningServer) => Promise<SipClient>>> = {
  UDP: ({ ports }) => SipClient.udp(ports.udp!),
  TCP: ({ ports }) => SipClient.tcp(ports.tcp!),
  WebSocket: ({ ports }) => SipClient.webSocket(`ws://127.0.0.1:${ports.http}/sip`),
};

for (const [transport, open] of Object.entries(CLIENTS)) {
  test(`a phone registers over ${transport}, asks, refreshes and takes its contact back`, async () => {
    await using server = await startServer();
    await using phone = await open(server);
    const who = { user: 'alice', password: PASSWORD };
    const contact = '<sip:alice@phone.invalid;x=1>';
    const registered = await phone.register({ ...who, contact, expires: 120 });
    assert.equal(registered.status, 200, registered.toString());
    assert.deepEqual(registered.headers('contact'), [`${contact};expires=120`]);
    assert.notEqual(registered.to.tag, undefined);
    if (transport !== 'WebSocket') {
      assert.equal(registered.vias[0]?.params.get('received'), '127.0.0.1');
      assert.match(registered.vias[0]?.params.get('rport') ?? '', /^\d+$/);
    }
    const [binding] = (await server.verb('registrations')) as { user: string; transport: string }[];
    assert.equal(binding?.user, 'alice');
    const refreshed = await phone.register({ ...who, contact, expires: 300 });
    assert.deepEqual(refreshed.headers('contact'), [`${contact};expires=300`]);
    assert.equal((await phone.register(who)).headers('contact').length, 1, 'a query');
    assert.equal((await phone.register({ ...who, contact: '*', expires: 0 })).headers('contact').length, 0);
    assert.deepEqual(await server.verb('registrations'), []);
  });
}

for (const transport of ['TCP', 'WebSocket']) {
  test(`a contact reached over ${transport} goes with its connection, another phone's stays`, async () => {
    await using server = await startServer();
    await using other = await CLIENTS.UDP!(server);
    await other.register({ user: 'alice', password: PASSWORD, contact: '<sip:alice@127.0.0.1:5999>' });
    {
      await using phone = await CLIENTS[transport]!(server);
      const both = await phone.register({ user: 'alice', password: PASSWORD, contact: '<sip:a@x.invalid>' });
      assert.equal(both.headers('contact').length, 2);
    }
    while (((await server.verb('registrations')) as unknown[]).length > 1) await new Promise(setImmediate);
    const [left] = (await server.verb('registrations')) as { contact: string }[];
    assert.equal(left?.contact, 'sip:alice@127.0.0.1:5999');
  });
}

test('wrong password, unknown user, forged nonce, other realm, other method: challenged again, nothing registered', async () => {
  await using server = await startServer();
  await using phone = await CLIENTS.UDP!(server);
  const contact = '<sip:alice@127.0.0.1:5999>';
  const status = async (o: object) =>
    (await phone.register({ user: 'alice', password: PASSWORD, contact, ...o })).status;
  assert.equal(await status({ password: 'wrong' }), 401);
  assert.equal(await status({ user: 'nobody' }), 401);
  assert.equal(await status({ spoil: (a: string) => a.replace(/nonce="[^"]*"/, 'nonce="forged"') }), 401);
  assert.equal(await status({ spoil: (a: string) => a.replace(/realm="[^"]*"/, 'realm="elsewhere"') }), 401);
  assert.equal(await status({ spoil: (a: string) => a.replace(/nc=0+1/, 'nc=00000002') }), 401);
  assert.equal(await status({ spoil: (a: string) => a.replace('username="alice"', 'username="bob"') }), 401);
  assert.deepEqual(await server.verb('registrations'), []);
  assert.equal(await status({}), 200);
});

test('credentials of one account do not speak for another: 403 in words', async () => {
  await using server = await startServer();
  await using phone = await CLIENTS.UDP!(server);
  const spoil = (a: string) => a;
  const first = await phone.register({ user: 'bob', password: PASSWORD, contact: '<sip:bob@127.0.0.1:1>', spoil });
  assert.equal(first.status, 200);
  const { session } = await login(server, 'alice');
  const url = `ws://127.0.0.1:${server.ports.http}/sip`;
  await using browser = await SipClient.webSocket(url, ['sip', `offhook.session.${session}`]);
  const refused = await browser.register({ user: 'bob', contact: '<sip:x@y.invalid;transport=ws>' });
  assert.equal(refused.status, 403);
  assert.match(refused.header('reason') ?? '', /cause=403;text="signed in as alice/);
  const own = await browser.register({ user: 'alice', contact: '<sip:x@y.invalid;transport=ws>' });
  assert.equal(own.status, 200, 'a session needs no digest');
});

test('after a restart sessions and accounts are good, and an old nonce is called stale', async () => {
  const before = await startServer();
  const { session } = await login(before, 'alice');
  let old = '';
  {
    await using phone = await CLIENTS.UDP!(before);
    const spoil = (a: string) => {
      old = a;
      return a;
    };
    await phone.register({ user: 'alice', password: PASSWORD, spoil });
  }
  await using server = await before.restart();
  const me = await fetch(`${server.url}/api/me`, { headers: { authorization: `Bearer ${session}` } });
  assert.equal(me.status, 200);
  await using phone = await CLIENTS.UDP!(server);
  const answer = await phone.request('REGISTER', 'alice', [['Authorization', old]]);
  assert.equal(answer.status, 401);
  assert.match(answer.header('www-authenticate') ?? '', /stale=true/);
});

test('a removed account loses its contacts and its connections', async () => {
  await using server = await startServer();
  const { session } = await login(server, 'alice');
  const url = `ws://127.0.0.1:${server.ports.http}/sip`;
  await using browser = await SipClient.webSocket(url, ['sip', `offhook.session.${session}`]);
  await using phone = await CLIENTS.UDP!(server);
  await browser.register({ user: 'alice', contact: '<sip:x@y.invalid>' });
  await phone.register({ user: 'alice', password: PASSWORD, contact: '<sip:alice@127.0.0.1:5999>' });
  assert.equal(((await server.verb('registrations')) as unknown[]).length, 2);
  await server.verb('users', { op: 'remove', user: 'alice' });
  assert.deepEqual(await server.verb('registrations'), []);
  await browser.closed;
});

test('OPTIONS needs an account and tells what is allowed; garbage and unknown methods end nothing', async () => {
  await using server = await startServer();
  const { session } = await login(server, 'alice');
  const url = `ws://127.0.0.1:${server.ports.http}/sip`;
  await using browser = await SipClient.webSocket(url, ['sip', `offhook.session.${session}`]);
  const options = await browser.request('OPTIONS', 'alice');
  assert.equal(options.status, 200);
  assert.match(options.header('allow') ?? '', /INVITE.*REGISTER/);
  const about = (user: string) => browser.request('OPTIONS', 'alice', [], `sip:${user}@${DOMAIN}`);
  assert.equal((await about('600')).status, 200, 'the echo is always there');
  assert.equal((await about('nobody')).status, 404);
  assert.equal((await about('alice')).status, 480);
  await browser.register({ user: 'alice', contact: '<sip:x@y.invalid>' });
  assert.equal((await about('alice')).status, 200);
  assert.equal((await browser.request('FROB', 'alice')).status, 501);
  assert.equal((await browser.request('REFER', 'alice')).status, 405);
  assert.equal((await browser.request('SUBSCRIBE', 'alice')).status, 489);
  assert.equal((await browser.request('INVITE', 'alice', [], 'sip:bob@elsewhere.test')).status, 404);
  await using stranger = await CLIENTS.UDP!(server);
  stranger.sendRaw('OPTIONS sip:x SIP/2.0\r\n\r\n');
  stranger.sendRaw('\x00\x01garbage');
  assert.equal((await stranger.request('OPTIONS', 'alice', [], `sip:${DOMAIN}`)).status, 401);
});

test('when it has stopped nothing is left: no timer, no socket', async () => {
  const busy = () => process.getActiveResourcesInfo().filter((name) => !/^(PipeWrap|TTYWrap|Immediate)$/.test(name));
  /** What is open now and was not before; handles of the tests before this one may still be closing. */
  const more = (before: readonly string[]) => {
    const known = [...before];
    return busy().filter((name) => {
      const at = known.indexOf(name);
      if (at >= 0) known.splice(at, 1);
      return at < 0;
    });
  };
  const before = busy();
  {
    await using server = await startServer();
    const { session } = await login(server, 'alice');
    const url = `ws://127.0.0.1:${server.ports.http}/sip`;
    await using browser = await SipClient.webSocket(url, ['sip', `offhook.session.${session}`]);
    await browser.register({ user: 'alice', contact: '<sip:x@y.invalid>' });
    await using tcp = await CLIENTS.TCP!(server);
    await tcp.register({ user: 'alice', password: PASSWORD });
    await using udp = await CLIENTS.UDP!(server);
    await udp.register({ user: 'alice', password: PASSWORD });
  }
  const deadline = performance.now() + 5000;
  while (more(before).length > 0 && performance.now() < deadline) await new Promise(setImmediate);
  assert.deepEqual(more(before), []);
});

async function login(server: RunningServer, user: string): Promise<{ session: string }> {
  const { token } = (await server.verb('login-link', { user })) as { token: string };
  const response = await fetch(`${server.url}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ token }),
  });
  assert.equal(response.status, 200);
  return (await response.json()) as { session: string };
}
