/** Run inside a namespace by calls-firefox.test.ts: `baresip-ice-call.ts <scratch folder>`. */
import { join } from 'node:path';
import { Baresip } from '../baresip.ts';
import { click, openChromium, recordRemote, settle, signIn, waitForCall } from '../browser.ts';
import { assertHears, middle } from '../proof.ts';
import { speak } from '../speech.ts';
import { System } from '../system.ts';

const folder = process.argv[2]!;
const alicesWords = speak('alice', folder);
const bobsWords = speak('bob', folder);
await using system = await System.start({ folder });
const alice = await openChromium(alicesWords.path, { loopbackCandidates: false });
try {
  await system.addUser('desk', 'desk-password-1');
  const phone = await Baresip.start({
    folder: join(folder, 'desk-ice'),
    user: 'desk',
    password: 'desk-password-1',
    domain: system.domain,
    server: `127.0.0.1:${system.ports.udp}`,
    codecs: ['opus/48000/1', 'pcmu'],
    speechPath: bobsWords.longPath,
    ports: { sip: 36_000, control: 36_003, rtpMin: 36_010, rtpMax: 36_030 },
    account: 'mediaenc=dtls_srtp;medianat=ice',
    rtcpMux: true,
  });
  try {
    await signIn(alice, await system.loginLink('alice'));
    await phone.command('dial', `sip:alice@${system.domain}`);
    await waitForCall(alice, 'incoming');
    await click(alice, 'answer');
    await phone.waitFor('CALL_ESTABLISHED');
    await waitForCall(alice, 'active');
    await settle(alice);
    const first = assertHears('alice', await recordRemote(alice, 6), bobsWords, alicesWords);
    await click(alice, 'hangup');
    await phone.waitFor('CALL_CLOSED');
    const second = assertHears('desk', middle(phone.heard(), 1, 5), alicesWords, bobsWords);
    await system.assertNothingLeft();
    console.log(JSON.stringify({ done: true, results: [first, second] }));
  } finally {
    await phone.stop();
  }
} finally {
  await alice.close();
}
