/** Run inside a namespace by calls-firefox.test.ts: `baresip-ice-call.ts <scratch folder>`. */
import { answer, click, recordRemote, settle, signIn, waitForCall } from '../browser.ts';
import { assertHears, middle } from '../proof.ts';
import { Stage } from '../stage.ts';
import { System } from '../system.ts';

await using stage = new Stage(process.argv[2]!);
const { alicesWords, bobsWords } = stage;
await using system = await System.start({ folder: stage.folder });
const alice = await stage.chromium(alicesWords, { loopbackCandidates: false });
const phone = await stage.baresip(system, 'desk', {
  words: bobsWords,
  codecs: ['opus/48000/1', 'pcmu'],
  account: 'mediaenc=dtls_srtp;medianat=ice',
  rtcpMux: true,
});
await signIn(alice, await system.loginLink('alice'));
await phone.command('dial', `sip:alice@${system.domain}`);
await answer(alice);
await phone.waitFor('CALL_ESTABLISHED');
await waitForCall(alice, 'active');
await settle(alice);
const first = assertHears('alice', await recordRemote(alice, 6), bobsWords, alicesWords);
await click(alice, 'hangup');
await phone.waitFor('CALL_CLOSED');
const second = assertHears('desk', middle(phone.heard(), 1, 5), alicesWords, bobsWords);
await system.assertNothingLeft();
console.log(JSON.stringify({ done: true, results: [first, second] }));
