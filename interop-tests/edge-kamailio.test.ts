import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KamailioEdge, lacksModules } from './src/kamailio-edge.ts';
import { lacking } from './src/peers.ts';
import { PlainPhone } from './src/plain-phone.ts';
import { type ScratchFolder, System, scratchFolder, waitUntil } from './src/system.ts';
import { WebSocketPhone } from './src/web-socket-phone.ts';

const skip = lacking('kamailio') || lacksModules();

let scratch: ScratchFolder;
let system: System;
let edge: KamailioEdge;
/** Closed in the end too, for a test that has failed. */
const phones: { close(): Promise<void> }[] = [];
const passwordOf = (user: string) => `pw-${user}-aA1`;

before(async () => {
  if (skip) return;
  scratch = scratchFolder();
  system = await System.start({ folder: scratch.path });
  for (const user of ['alice', 'bob', 'carol']) {
    const op = user === 'carol' ? 'add' : 'passwd'; // the others are there from the first start on
    await system.verb('signaling', 'users', { op, user, password: passwordOf(user) });
  }
  const first = 10_000 + (process.pid % 100) * 200;
  edge = await KamailioEdge.start({
    folder: join(scratch.path, 'kamailio'),
    server: `127.0.0.1:${system.ports.udp}`,
    ports: { udp: first + 180, wss: first + 181 },
  });
});

after(async () => {
  for (const phone of phones) await phone.close();
  await edge?.stop();
  await system?.stop();
  scratch?.remove();
});

const opened = <P extends { close(): Promise<void> }>(phone: P): P => {
  phones.push(phone);
  return phone;
};
const open = async (user: string, instance = `urn:uuid:00000000-0000-4000-8000-00000000000${user.length}`) =>
  opened(
    await WebSocketPhone.open({
      url: edge.url,
      caPath: edge.caPath,
      user,
      password: passwordOf(user),
      domain: system.domain,
      instance,
    }),
  );

test('a phone behind the edge registers by outbound and gets its Path and its GRUUs', { skip }, async () => {
  const bob = await open('bob');
  const ok = await bob.register();
  assert.match(ok.header('path')!, /^<sip:[^@]+@127\.0\.0\.1:\d+;lr;.*ob/);
  assert.ok(ok.hasToken('require', 'outbound'));
  const contact = ok.contacts === '*' ? undefined : ok.contacts?.[0];
  assert.match(contact!.params.get('pub-gruu')!, new RegExp(`^sip:bob@${system.domain};gr=urn:uuid:`));
  await bob.close();
});

test('a desk phone reaches it through the Path; either of them hangs up', { skip }, async () => {
  const bob = await open('bob');
  await bob.register();
  for (const by of ['bob', 'carol']) {
    const carol = await PlainPhone.open(system, { user: 'carol', password: passwordOf('carol') });
    const called = carol.call('bob');
    const invite = await bob.incoming('INVITE');
    const dialog = await bob.accept(invite);
    await called;
    if (by === 'bob') assert.equal(await bob.hangUp(dialog), 200);
    else {
      const hungUp = carol.hangUp();
      bob.answer(await bob.incoming('BYE'), 200);
      await hungUp;
    }
    await waitUntil('no call is left', async () => (await system.metrics('signaling')).sip_calls === 0);
    await carol.close();
  }
  await bob.close();
});

test('two phones behind the edge call each other, by name and by GRUU, and hang up both ways', { skip }, async () => {
  const [alice, bob] = [await open('alice'), await open('bob')];
  await alice.register();
  const ok = await bob.register();
  const contact = ok.contacts === '*' ? undefined : ok.contacts?.[0];
  const gruu = contact!.params.get('temp-gruu')!;
  for (const [uri, by] of [
    [`sip:bob@${system.domain}`, 'alice'],
    [gruu, 'bob'],
  ] as const) {
    const calling = alice.call(uri);
    const taken = await bob.accept(await bob.incoming('INVITE'));
    const made = await calling;
    const [from, to] = by === 'alice' ? [alice, bob] : [bob, alice];
    const hungUp = from.hangUp(by === 'alice' ? made : taken);
    to.answer(await to.incoming('BYE'), 200);
    assert.equal(await hungUp, 200);
  }
  await alice.close();
  await bob.close();
});

test('a phone that comes back through the edge over a new connection has its call', { skip }, async () => {
  const [alice, bob] = [await open('alice'), await open('bob')];
  await alice.register();
  await bob.register();
  const calling = alice.call(`sip:bob@${system.domain}`);
  await bob.accept(await bob.incoming('INVITE'));
  const made = await calling;
  await bob.close();
  const again = await open('bob');
  await again.register();
  const hungUp = alice.hangUp(made);
  again.answer(await again.incoming('BYE'), 200);
  assert.equal(await hungUp, 200);
  await alice.close();
  await again.close();
  await system.assertNothingLeft();
});
