import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Namespace, nullSink } from '../src/namespace.ts';
import { type Make, nameOf, type Outcome, type Pairing } from '../src/pairing.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { scratchFolder } from '../src/system.ts';

// Every make of phone with every other, and every way to secure media; their media ends at the relay.

const skip =
  lacking(...SPEECH, 'chromium', 'firefox-esr', 'baresip', 'linphonec', 'openssl', 'pulseaudio', 'ip', 'iptables') ||
  (process.getuid?.() !== 0 && 'network namespaces need root');

const SIP_PHONES: readonly Make[] = [
  'baresip',
  'baresip with SDES',
  'baresip with DTLS-SRTP',
  'linphone',
  'linphone with SDES',
  'linphone with DTLS-SRTP',
];
/** It makes calls only: called without ICE it never begins DTLS, and who is not known to have ICE is not offered it. */
const CALLER: Make = 'baresip with ICE and DTLS-SRTP';

const DEATH = 'the relay dies';

const withBrowser = (browser: Make): Pairing[] => [
  ...SIP_PHONES.flatMap((phone) => [
    { from: browser, to: phone },
    { from: phone, to: browser },
  ]),
  { from: CALLER, to: browser },
];

const GROUPS: Readonly<Record<string, readonly Pairing[]>> = {
  'Chromium and SIP phones': withBrowser('Chromium'),
  'Firefox and SIP phones': withBrowser('Firefox'),
  'two SIP phones': [
    { from: 'baresip', to: 'linphone' },
    { from: 'linphone', to: 'baresip with SDES' },
    { from: 'baresip', to: 'linphone with DTLS-SRTP' },
    { from: 'baresip with SDES', to: 'linphone with SDES' },
    { from: 'linphone with SDES', to: 'baresip with DTLS-SRTP', isCalledAgain: true },
    { from: 'baresip with DTLS-SRTP', to: 'linphone with DTLS-SRTP' },
    { from: 'linphone with DTLS-SRTP', to: 'baresip' },
    { from: 'linphone with DTLS-SRTP', to: 'linphone with SDES' },
    { from: CALLER, to: 'linphone' },
    { from: 'baresip with SDES', to: 'baresip', isRefused: true },
  ],
  'calls that are changed': [
    { from: 'Chromium', to: 'linphone', meanwhile: 'hold and resume' },
    { from: 'linphone with SDES', to: 'Chromium', meanwhile: 'hold and resume' },
    { from: 'Firefox', to: 'linphone with DTLS-SRTP', meanwhile: 'hold and resume' },
    { from: 'linphone', to: 'baresip', meanwhile: 're-INVITE' },
    { from: 'Chromium', to: 'baresip', meanwhile: 're-INVITE' },
    { from: 'baresip with SDES', to: 'Firefox', meanwhile: 're-INVITE' },
    { from: 'Chromium', to: 'baresip', meanwhile: 'restart ICE' },
    { from: 'Firefox', to: 'linphone with SDES', meanwhile: 'restart ICE' },
  ],
  // Not with baresip 1.0 and SDES, which keeps the keys it began with, nor with DTLS-SRTP of baresip or linphone 5.1, which begin
  // DTLS once in a call.
  'calls whose relay dies': [
    { from: 'Chromium', to: 'Firefox', meanwhile: DEATH },
    { from: 'Firefox', to: 'Chromium', meanwhile: DEATH },
    { from: 'Firefox', to: 'baresip', meanwhile: DEATH },
    { from: 'linphone with SDES', to: 'Firefox', meanwhile: DEATH },
    { from: 'Chromium', to: 'linphone with SDES', meanwhile: DEATH },
    { from: 'linphone', to: 'Chromium', meanwhile: DEATH },
    { from: 'linphone', to: 'baresip', meanwhile: DEATH },
  ],
};

const folder = scratchFolder();
let space: Namespace;

before(() => {
  if (skip) return;
  space = Namespace.create();
});

after(() => {
  space?.remove();
  folder.remove();
});

for (const [group, pairings] of Object.entries(GROUPS)) {
  test(group, { skip }, async (t) => {
    const sink = await nullSink(folder.path);
    try {
      const runner = new URL('../src/in-namespace/pairings.ts', import.meta.url);
      const outcomes = (await space.run(
        runner,
        [folder.path, JSON.stringify(pairings)],
        60 + 60 * pairings.length,
      )) as Outcome[];
      for (const [i, pairing] of pairings.entries()) {
        await t.test(nameOf(pairing), () => {
          const { heard, error } = outcomes[i]!;
          for (const { who, far, own } of heard)
            console.error(`  ${who} hears the far sentence: ${far.toFixed(3)}, its own: ${own.toFixed(3)}`);
          assert.equal(error, undefined, error);
        });
      }
    } finally {
      await sink.stop();
    }
  });
}
