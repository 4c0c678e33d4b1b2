/** Run inside a namespace by turn-firefox.test.ts: `firefox-turn.ts <scratch folder> <name of this host>`. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { letSpeak, type Phone, withPages } from '../browser.ts';
import { assertEchoByRelay, callEchoByRelay, endCalls, gather, uriFor } from '../relay-only.ts';
import { connectByRelays } from '../relayed-page.ts';
import { Stage } from '../stage.ts';
import { System } from '../system.ts';
import { homeTrusting, profileTrusting } from '../trust.ts';
import { turnAccount } from '../turn-client.ts';

const [folder, name] = process.argv.slice(2) as [string, string];
const home = join(folder, 'pulse');
const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home };
await using stage = new Stage(folder);
const { alicesWords, bobsWords } = stage;
await using system = await System.start({ folder, settings: { public: true, tls: { names: [name] } } });
const [chromium, firefox] = await Promise.all([
  stage.chromium(alicesWords, { loopbackCandidates: false, hostName: name, home: homeTrusting(system.caPath, folder) }),
  stage.firefox(env, profileTrusting(system.caPath, folder)),
]);

await withPages([firefox, firefox, firefox], async (pages) => {
  for (const page of pages) await letSpeak(page, bobsWords);
  const calls = await callEchoByRelay(system, pages);
  await assertEchoByRelay(system, calls, { words: bobsWords, others: alicesWords });
  await endCalls(calls);
});
await withPages([firefox, firefox, firefox, chromium], async ([one, other, third, theirs]) => {
  await Promise.all([
    connectByRelays(system, { phone: one!, way: 'udp' }, { phone: other!, way: 'tls' }),
    connectByRelays(system, { phone: third!, way: 'tcp' }, { phone: theirs!, way: 'tls' }),
  ]);
});

await system.addUser('asker', 'pw-asker-aA1');
const { uris, username, credential } = await turnAccount(system, 'asker', 'pw-asker-aA1');
const byName = uriFor(uris, 'tls');
assert.ok(byName.includes(name), byName);
const byAddress = byName.replace(name, '10.99.0.1');
const asked = (phone: Phone, urls: string) => gather(phone, { urls, username, credential });
// Firefox tells nothing of an address in `turns:`, and 701 of a certificate that it does not trust.
assert.deepEqual(await asked(firefox, byAddress), { candidates: [], errors: [] });
assert.ok((await asked(firefox, byName)).candidates.length > 0);
const stranger = await stage.firefox(env);
assert.deepEqual(await asked(stranger, byName), { candidates: [], errors: [701] });
await Promise.all([
  system.assertNothingLeft(),
  ...[stranger, firefox].map((phone) => phone.close()), // seconds each, where no network is beyond
]);
console.log(JSON.stringify({ done: true }));
