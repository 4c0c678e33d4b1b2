import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answer, click, mediaStats, type Phone, recordRemote, settle, waitForCall } from '../src/browser.ts';
import type { LibraryAccount } from '../src/in-page/library-phone.ts';
import { LibraryPage, type LibraryPhone } from '../src/library-page.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { sipp } from '../src/sipp.ts';
import { Stage } from '../src/stage.ts';
import { System, waitUntil } from '../src/system.ts';

const withBrowser = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');
const withLinphone = lacking(...SPEECH, 'linphonec');
const withSipp = lacking(...SPEECH, 'sipp');

let stage: Stage;
let page: LibraryPage;
let browser: Phone;
let system: System;

before(async () => {
  if (withBrowser && withLinphone && withSipp) return;
  stage = new Stage();
  if (!withBrowser) browser = await stage.chromium(stage.alicesWords, { anyCertificate: true });
  page = await LibraryPage.serve();
  system = await System.start({
    folder: stage.folder,
    settings: { http: { port: 0, tlsPort: 0, allowedOrigins: [page.origin] } },
  });
});

after(async () => {
  await system?.stop();
  await page?.close();
  await stage?.close();
});

/** What is proven is sound that lasts. */
const listening = (seconds = 7) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** More than half of the 90 s that JsSIP wants between two refreshes. */
const REFRESH_DUE_MS = 46_000;

/** A phone of its own account in a page of its own. */
async function libraryPhone(library: LibraryAccount['library'], scheme: 'ws' | 'wss', user: string) {
  const password = `pw-${user}-aA1`;
  await system.addUser(user, password);
  const url = `${scheme}://localhost:${scheme === 'ws' ? system.ports.http : system.ports.https}/sip`;
  return page.phone(browser, { library, url, user, password, domain: system.domain });
}

/** Waits until something is heard in a call that has just begun. */
function hears(phone: LibraryPhone): Promise<void> {
  return waitUntil('packets come in', async () => (await mediaStats(phone)).audioPacketsReceived > 20);
}

/** It says goodbye, and its page goes. */
async function gone(phone: LibraryPhone): Promise<void> {
  await phone.ask('leave');
  assert.deepEqual(phone.errors, []);
  await phone.close();
}

test('JsSIP and SIP.js, each over WS and WSS, register with a password and hear themselves at 600; JsSIP sends a digit, holds, refreshes', {
  skip: withBrowser,
}, async () => {
  const { alicesWords, bobsWords } = stage;
  const jan = await libraryPhone('JsSIP', 'ws', 'jan');
  const phones = [
    jan,
    await libraryPhone('JsSIP', 'wss', 'jana'),
    await libraryPhone('SIP.js', 'ws', 'sid'),
    await libraryPhone('SIP.js', 'wss', 'sidney'),
  ];
  // From here on its timers are ours: the refresh comes when the test says so.
  await jan.page.clock.install();
  await Promise.all(phones.map((phone) => phone.ask('call', '600')));
  await jan.ask('digit', '5');
  await jan.ask('hold');
  await jan.ask('resume');
  await jan.page.clock.fastForward(REFRESH_DUE_MS);
  await jan.accepted('UPDATE');
  await Promise.all(
    phones.map(async (phone) => {
      await settle(phone);
      assertHears(phone.user, await recordRemote(phone, 6), alicesWords, bobsWords);
      await phone.ask('hangUp');
    }),
  );
  await Promise.all(phones.map(gone));
  await system.assertNothingLeft();
});

test('JsSIP over WS and WSS and baresip over UDP and TCP call each other and talk; JsSIP sends baresip to 600', {
  skip: withBrowser,
}, async () => {
  const { alicesWords, bobsWords } = stage;
  await using hall = await stage.baresip(system, 'hall', { words: bobsWords, codecs: ['pcma'] });
  await using lamp = await stage.baresip(system, 'lamp', { words: bobsWords, codecs: ['pcmu'], transport: 'tcp' });
  const jill = await libraryPhone('JsSIP', 'ws', 'jill');
  const jack = await libraryPhone('JsSIP', 'wss', 'jack');
  const pairs = [
    { phone: jill, desk: hall, name: 'hall' },
    { phone: jack, desk: lamp, name: 'lamp' },
  ];
  const eachPair = (does: (pair: (typeof pairs)[number]) => Promise<unknown>) => Promise.all(pairs.map(does));

  await eachPair(async ({ phone, desk }) => {
    await desk.command('dial', `sip:${phone.user}@${system.domain}`);
    await desk.waitFor('CALL_ESTABLISHED');
    await hears(phone);
    await phone.ask('hangUp');
    await desk.waitFor('CALL_CLOSED');
  });
  await eachPair(async ({ phone, desk, name }) => {
    const called = phone.ask('call', name);
    await desk.answer();
    await desk.waitFor('CALL_ESTABLISHED');
    await called;
    await settle(phone);
    assertHears(phone.user, await recordRemote(phone, 6), bobsWords, alicesWords);
    assertHears(name, middle(desk.heard(), 1, 5), alicesWords, bobsWords);
  });
  await jack.ask('hangUp');
  await lamp.waitFor('CALL_CLOSED');

  await jill.ask('refer', '600');
  await jill.ask('hangUp');
  await listening();
  await hall.command('hangup');
  await hall.waitFor('CALL_CLOSED');
  const echo = hall.heard();
  assertHears('hall at 600', middle(echo, echo.samples.length / echo.rate - 6, 5), bobsWords, alicesWords);
  await Promise.all([jill, jack].map(gone));
  await system.assertNothingLeft();
});

test('JsSIP sends a web phone, whose media went unread between the two, to a SIP phone and then to 600: new keys each time', {
  skip: withBrowser,
}, async () => {
  const { alicesWords, bobsWords } = stage;
  const bob = await stage.webPhone(system, 'bob');
  await using hall = await stage.baresip(system, 'lobby', { words: alicesWords, codecs: ['pcma'] });
  const jane = await libraryPhone('JsSIP', 'ws', 'jane');
  for (const to of ['lobby', '600']) {
    const called = jane.ask('call', 'bob');
    await answer(bob);
    await called;
    await settle(bob);
    assertHears('bob', await recordRemote(bob, 6), alicesWords, bobsWords);
    const referred = jane.ask('refer', to);
    if (to === 'lobby') await hall.answer();
    await referred;
    await jane.ask('hangUp');
    await settle(bob);
    const heard = await recordRemote(bob, 6);
    if (to === 'lobby') assertHears('bob', heard, alicesWords, bobsWords);
    else assertHears('bob at 600', heard, bobsWords, alicesWords);
    await click(bob, 'hangup');
    await waitForCall(bob, 'idle');
  }
  const heard = hall.heard();
  assertHears('lobby', middle(heard, heard.samples.length / heard.rate - 6, 5), bobsWords, alicesWords);
  await bob.close();
  await gone(jane);
  await system.assertNothingLeft();
});

test('linphonec registers over TCP, and over TLS with our CA alone, and hears itself at 600', {
  skip: withLinphone,
}, async () => {
  const { alicesWords, bobsWords } = stage;
  await Promise.all(
    (['tcp', 'tls'] as const).map(async (transport) => {
      const caPath = transport === 'tls' ? system.caPath : undefined;
      await using phone = await stage.linphone(system, `lin-${transport}`, alicesWords, { transport, caPath });
      phone.type(`call sip:600@${system.domain}`);
      await phone.says(/Call .* connected/, 'the call is answered');
      await phone.heardFor(8);
      phone.type('terminate');
      await phone.says(/Call .* ended/, 'the call has ended');
      assertHears(`linphonec over ${transport}`, middle(phone.heard(), 1.5, 5), alicesWords, bobsWords);
    }),
  );
  await system.assertNothingLeft();
});

// That it registers over TCP is in sipp.test.ts.
test('SIPp makes twenty calls to 600 over one TCP connection', { skip: withSipp }, async () => {
  const account = { user: 'tester', password: 'correct-Horse-7' };
  await system.addUser(account.user, account.password);
  const run = await sipp({
    ...account,
    folder: stage.folder,
    server: `127.0.0.1:${system.ports.tcp}`,
    domain: system.domain,
    transport: 't1',
    scenario: 'held-call.xml',
    replace: { TARGET: '600', HOLD: '500', CHANGE: '' },
    calls: 20,
  });
  assert.equal(run.code, 0, run.output);
  assert.equal(run.successful, 20, run.output);
  await system.assertNothingLeft();
});
