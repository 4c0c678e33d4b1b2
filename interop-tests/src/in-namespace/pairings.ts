/** Run inside a namespace by pairings.test.ts: `pairings.ts <scratch folder> <pairings as JSON>`; prints their outcomes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { LegStatistics } from '@offhook/media-relay';
import type { Cdr, CdrPage, RelayedCall } from '@offhook/signaling';
import { leave, letSpeak, type Phone, signIn, warmUp } from '../browser.ts';
import { type Change, type Make, noteOf, type Outcome, type Pairing } from '../pairing.ts';
import { baresipParty, linphoneParty, type Party, webParty } from '../parties.ts';
import { assertHears, type Heard } from '../proof.ts';
import type { Sentence } from '../speech.ts';
import { Stage } from '../stage.ts';
import { System, waitUntil } from '../system.ts';

const CODECS = ['opus/48000/1', 'pcma'];
const BARESIP: Partial<Record<Make, string>> = {
  baresip: '',
  'baresip with SDES': 'mediaenc=srtp-mandf',
  'baresip with DTLS-SRTP': 'mediaenc=dtls_srtp',
  'baresip with ICE and DTLS-SRTP': 'mediaenc=dtls_srtp;medianat=ice',
};
const LINPHONE: Partial<Record<Make, 'srtp' | 'dtls' | undefined>> = {
  linphone: undefined,
  'linphone with SDES': 'srtp',
  'linphone with DTLS-SRTP': 'dtls',
};

const [folder, table] = process.argv.slice(2) as [string, string];
const pairings = JSON.parse(table) as Pairing[];
const home = join(folder, 'pulse');
await using stage = new Stage(folder);
const { alicesWords, bobsWords } = stage;
await using system = await System.start({ folder, media: { path: 'terminated' } });

/** A browser is opened once, for every call of it; it says always the same. */
const browsers: { [make in Make]?: Phone } = {};
const has = (make: Make) => pairings.some(({ from, to }) => from === make || to === make);
if (has('Chromium')) {
  browsers.Chromium = await stage.chromium(alicesWords, { loopbackCandidates: false });
  await signIn(browsers.Chromium, await system.loginLink('alice'));
}
if (has('Firefox')) {
  browsers.Firefox = await stage.firefox({ ...process.env, HOME: home, XDG_RUNTIME_DIR: home });
  await letSpeak(browsers.Firefox, bobsWords);
  await signIn(browsers.Firefox, await system.loginLink('bob'));
}
await warmUp(...Object.values(browsers));

/** The phone of one side of a call; a SIP phone is started for it. */
async function open(make: Make, user: string, words: Sentence): Promise<Party & AsyncDisposable> {
  const stays = { [Symbol.asyncDispose]: async () => {} };
  if (make === 'Chromium') return { ...webParty('alice', alicesWords, browsers.Chromium!), ...stays };
  if (make === 'Firefox') return { ...webParty('bob', bobsWords, browsers.Firefox!), ...stays };
  const account = BARESIP[make];
  if (account !== undefined) {
    const phone = await stage.baresip(system, user, {
      words,
      codecs: CODECS,
      account,
      rtcpMux: account.includes('dtls'),
    });
    return { ...baresipParty(user, words, system.domain, phone), [Symbol.asyncDispose]: () => phone.stop() };
  }
  const phone = await stage.linphone(system, user, words, { encryption: LINPHONE[make] });
  return { ...linphoneParty(user, words, system.domain, phone), [Symbol.asyncDispose]: () => phone.stop() };
}

/** Packets that a hold may come too late for, of 250 in five seconds. */
const ON_THEIR_WAY = 10;

/** What is done while the two talk. */
function change(what: Change, parties: readonly Party[], pairing: Pairing): Promise<void> {
  switch (what) {
    case 'restart ICE':
      return restartIce(browsers[pairing.from] ?? browsers[pairing.to]!);
    case 're-INVITE':
      return offerAgain(parties);
    case 'hold and resume':
      return holdAndResume(parties);
    case 'the relay dies':
      return outliveRelay(parties);
  }
}

/** The description of one phone goes to the other again, by the server, and both agree on it. */
async function offerAgain(parties: readonly Party[]): Promise<void> {
  const party = parties.find((one) => one.offerAgain !== undefined);
  assert.ok(party?.offerAgain, 'neither phone can send a re-INVITE');
  const before = await invites();
  assert.equal(await party.offerAgain(), 200, 'the answer to the re-INVITE');
  const after = await invites();
  for (const way of ['received', 'sent'] as const) assert.ok(after[way] > before[way], `no re-INVITE was ${way}`);
}

/** How many the server has had to do with. */
async function invites(): Promise<{ received: number; sent: number }> {
  const metrics = await system.metrics('signaling');
  const count = (direction: string) => metrics[`sip_requests_total{direction="${direction}",method="INVITE"}`] ?? 0;
  return { received: count('received'), sent: count('sent') };
}

/**
 * Who holds is sent nothing meanwhile. Who is held is not in silence: linphone plays it the file that is its microphone too
 * (`play`), so those words have to come through.
 */
async function holdAndResume(parties: readonly Party[]): Promise<void> {
  const party = parties.find((one) => one.hold !== undefined);
  const held = parties.find((one) => one !== party);
  assert.ok(party?.hold && party.resume && held, 'neither phone can hold');
  await party.hold();
  const before = await packetsTo(party);
  assert.ok(before > 0, 'the relay has counted nothing');
  await hearing(`${held.user}, on hold,`, held, party);
  const more = (await packetsTo(party)) - before;
  assert.ok(more <= ON_THEIR_WAY, `${party.user} holds, and is sent ${more} packets`);
  await party.resume();
}

/** How many packets the relay has sent to a phone in the one call there is. */
async function packetsTo({ user }: Party): Promise<number> {
  const [call] = (await system.verb('signaling', 'relayed')) as RelayedCall[];
  const tag = call?.tags.find(({ party }) => party === user)?.tag;
  const asked = { calls: [call?.relayed] };
  const [told] = (await system.verb('media-relay-0', 'statistics', asked)) as { legs: LegStatistics[] }[];
  const leg = told?.legs.find((one) => one.tag === tag);
  assert.ok(leg, `the relay knows nothing of ${user}`);
  return leg.packetsOut;
}

/** Nothing of the browser's comes through until it has begun ICE anew. */
async function restartIce({ page }: Phone): Promise<void> {
  const fragment = () =>
    page.evaluate(() => {
      type Handle = { peerConnections(): RTCPeerConnection[] };
      const [pc] = (window as unknown as { offhook: Handle }).offhook
        .peerConnections()
        .filter(({ connectionState }) => connectionState !== 'closed');
      return /a=ice-ufrag:(\S+)/.exec(pc?.localDescription?.sdp ?? '')?.[1];
    });
  const before = await fragment();
  const { mux } = await system.udpPorts();
  const outage = ['INPUT', '-p', 'udp', '--dport', String(mux), '-j', 'DROP'];
  execFileSync('iptables', ['-A', ...outage]);
  try {
    await waitUntil('ICE begins anew', async () => (await fragment()) !== before, 40_000);
  } finally {
    execFileSync('iptables', ['-D', ...outage]);
  }
}

/** Packets of a second or so. */
const AGAIN = 50;

/** The call goes on at the relay that follows, with new keys and candidates. */
async function outliveRelay(parties: readonly Party[]): Promise<void> {
  const begunAnew = async () => (await system.metrics('signaling')).sip_call_reanchored_total ?? 0;
  const before = await begunAnew();
  await system.killPart('media-relay-0');
  await waitUntil('the call begins anew', async () => (await begunAnew()) > before);
  for (const party of parties) {
    await waitUntil(`${party.user} is sent sound`, async () => (await packetsTo(party)) > AGAIN);
  }
}

let lastRecord: string | undefined;

/** The record of the call that has just ended. */
async function nextRecord(): Promise<Cdr> {
  let newest: Cdr | undefined;
  await waitUntil('the call has a record', async () => {
    [newest] = ((await system.verb('signaling', 'cdrs', { limit: 1 })) as CdrPage).records;
    return newest !== undefined && newest.id !== lastRecord;
  });
  lastRecord = newest!.id;
  return newest!;
}

/** One hears the other in five seconds without a flaw. */
async function hearing(who: string, one: Party, other: Party): Promise<Heard> {
  return assertHears(who, await one.hear(), other.words, one.words);
}

async function call(pairing: Pairing, i: number, heard: Heard[]): Promise<void> {
  const saysBob = pairing.from === 'Firefox' || pairing.to === 'Chromium';
  const [words, others] = saysBob ? [bobsWords, alicesWords] : [alicesWords, bobsWords];
  await using from = await open(pairing.from, `from${i}`, words);
  await using to = await open(pairing.to, `to${i}`, others);
  const listen = async () => {
    const both = await Promise.all([hearing(pairing.from, from, to), hearing(pairing.to, to, from)]);
    heard.push(...both);
  };
  await from.call(to.user);
  await to.answer();
  if (pairing.isCalledAgain) await to.answer();
  await Promise.all([from.talks(), to.talks()]);
  await listen();
  if (pairing.meanwhile) {
    await change(pairing.meanwhile, [from, to], pairing);
    await listen();
  }
  await from.hangUp();
  await Promise.all([from.over(), to.over()]);
  assert.equal(/; (.*)$/.exec((await nextRecord()).reason)?.[1], noteOf(pairing, to.user));
}

const outcomes: Outcome[] = [];
for (const [i, pairing] of pairings.entries()) {
  const heard: Heard[] = [];
  try {
    await call(pairing, i, heard);
    await system.assertNothingLeft();
    outcomes.push({ heard });
  } catch (error) {
    outcomes.push({ heard, error: String((error as Error).stack) });
    await nextRecord().catch(() => {}); // that of the call that failed
    // The next call finds idle phones.
    for (const [make, user] of [
      ['Chromium', 'alice'],
      ['Firefox', 'bob'],
    ] as const) {
      const phone = browsers[make];
      if (!phone) continue;
      await leave(phone);
      await signIn(phone, await system.loginLink(user));
    }
  }
}
console.log(JSON.stringify(outcomes));
