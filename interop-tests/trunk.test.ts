import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Baresip } from './src/baresip.ts';
import { Kamailio } from './src/kamailio.ts';
import { lacking, SPEECH } from './src/peers.ts';
import { assertHears, middle } from './src/proof.ts';
import { Stage } from './src/stage.ts';
import { System, waitUntil } from './src/system.ts';

const skip = lacking(...SPEECH, 'kamailio', 'baresip', 'openssl');
const MAIN = new URL('../cli/src/main.ts', import.meta.url).pathname;

const DOMAIN = 'provider.example';
const PASSWORD = 'secret-of-the-trunk';
/** Led to the account that we register, and to our address. */
const [BY_REGISTRATION, BY_ADDRESS, NOWHERE] = ['+4930111', '+4930222', '+4930999'];
/** A subscriber of the provider. */
const ANNS_NUMBER = '+4940123';

let stage: Stage;
let provider: Kamailio;
let system: System;
let desk: Baresip;
let ann: Baresip;

/** What is dialled before a number, for each trunk. */
const WAYS = { registering: '81', 'by-address': '82' };
const ROUTES = `export default [
  ${Object.entries(WAYS)
    .map(
      ([trunk, prefix]) =>
        `{ name: '${trunk}', called: '${prefix}{number}', do: { trunk: '${trunk}', number: '{number}' } },`,
    )
    .join('\n  ')}
];
`;

interface Listed {
  readonly trunk: string;
  readonly isUp: boolean;
  readonly why: string;
  readonly registeredForS?: number;
  readonly calls: number;
}

const trunks = async (): Promise<Record<string, Listed>> =>
  Object.fromEntries(((await system.verb('signaling', 'trunks')) as Listed[]).map((one) => [one.trunk, one]));

before(async () => {
  if (skip) return;
  stage = new Stage();
  const [ours, theirs] = [stage.freePorts(), stage.freePorts()];
  provider = await Kamailio.start({
    folder: stage.folder,
    port: theirs,
    domain: DOMAIN,
    password: PASSWORD,
    numbers: { [BY_REGISTRATION!]: 'acct', [NOWHERE!]: 'acct', [ANNS_NUMBER]: 'ann' },
    routes: { [BY_ADDRESS!]: `127.0.0.1:${ours}` },
  });
  writeFileSync(join(stage.folder, 'password'), `${PASSWORD}\n`);
  writeFileSync(join(stage.folder, 'routes.ts'), ROUTES);
  const numbers = { country: '49' };
  system = await System.start({
    folder: stage.folder,
    settings: {
      sip: { port: ours, tlsPort: 0 },
      routes: join(stage.folder, 'routes.ts'),
      trunks: {
        registering: {
          targets: [`sip:${Kamailio.registrar}:${theirs}`],
          domain: DOMAIN,
          register: { user: 'acct', passwordFile: join(stage.folder, 'password') },
          numbers,
          dids: { [BY_REGISTRATION!]: 'desk' },
          optionsS: 5,
        },
        'by-address': {
          targets: [`sip:${Kamailio.byAddress}:${theirs}`],
          callerId: BY_ADDRESS,
          numbers,
          dids: { [BY_ADDRESS!]: 'desk' },
          optionsS: 5,
        },
        refused: {
          targets: [`sip:${Kamailio.registrar}:${theirs}`],
          domain: DOMAIN,
          register: { user: 'acct', password: 'wrong' },
          optionsS: 0,
        },
      },
    },
  });
  assert.equal(system.ports.udp, ours);
  desk = await stage.baresip(system, 'desk', { words: stage.bobsWords, codecs: ['pcma'] });
  const ports = stage.freePorts();
  ann = await Baresip.start({
    folder: join(stage.folder, 'ann'),
    user: 'ann',
    password: PASSWORD,
    domain: DOMAIN,
    server: `${Kamailio.registrar}:${theirs}`,
    codecs: ['pcma'],
    speechPath: stage.alicesWords.longPath,
    ports: { sip: ports, control: ports + 3, rtpMin: ports + 4, rtpMax: ports + 18 },
  });
});

after(async () => {
  await ann?.stop();
  await system?.stop();
  await provider?.stop();
  await stage?.close();
});

test('the server registers with Kamailio by digest; a wrong password is told in words', { skip }, async () => {
  await waitUntil('registered', async () => (await trunks()).registering?.registeredForS !== undefined);
  const { registering, refused, 'by-address': byAddress } = await trunks();
  assert.equal(registering!.isUp, true);
  assert.equal(byAddress!.isUp, true);
  assert.equal(refused!.isUp, false);
  assert.match(refused!.why, /not registered: the provider refuses the password/);
  assert.match(provider.output, /got REGISTER sip:provider\.example from sip:acct@provider\.example/);
  const figures = await system.metrics('signaling');
  assert.equal(figures['sip_trunk_registered{trunk="registering"}'], 1);
  assert.equal(figures['sip_trunk_up{trunk="refused"}'], 0);
  assert.doesNotMatch(system.log('signaling'), new RegExp(PASSWORD));
});

test('offhook trunks lists them, and offhook doctor says which one is down and why', { skip }, () => {
  const run = (command: string) => {
    try {
      return execFileSync(process.execPath, [MAIN, command, '--config', system.config], { encoding: 'utf8' });
    } catch (error) {
      return String((error as { stdout?: string }).stdout);
    }
  };
  const listed = run('trunks');
  assert.match(listed, /^registering +up, registered for \d+ s more; 0 of 10 lines in use$/m);
  assert.match(listed, /^by-address +up; 0 of 10 lines in use$/m);
  assert.match(listed, /^refused +down: not registered: the provider refuses the password/m);
  assert.match(
    run('doctor'),
    /BAD {2}trunk refused: not registered: the provider refuses the password\n +→ compare user/,
  );
});

for (const [how, number, trunk] of [
  ['to the contact that it registered', BY_REGISTRATION!, 'registering'],
  ['from an address that it knows', BY_ADDRESS!, 'by-address'],
] as const)
  test(`a call through Kamailio ${how} reaches a user here, with sound both ways`, { skip }, async () => {
    await ann.command('dial', `sip:${number}@${DOMAIN}`);
    await desk.waitFor('CALL_INCOMING');
    assert.equal((await trunks())[trunk]!.calls, 1);
    await desk.command('accept');
    await Promise.all([ann.waitFor('CALL_ESTABLISHED'), desk.waitFor('CALL_ESTABLISHED')]);
    await new Promise((resolve) => setTimeout(resolve, 7000)); // what is proven is sound that lasts
    await ann.command('hangup');
    await desk.waitFor('CALL_CLOSED');
    await ann.waitFor('CALL_CLOSED');
    assertHears('desk', middle(desk.heard(), 1, 5), stage.alicesWords, stage.bobsWords);
    assertHears('ann', middle(ann.heard(), 1, 5), stage.bobsWords, stage.alicesWords);
    await system.assertNothingLeft();
    assert.equal((await trunks())[trunk]!.calls, 0);
  });

for (const [trunk, prefix] of Object.entries(WAYS))
  test(`a call out over ${trunk} reaches a subscriber of Kamailio, with sound both ways`, { skip }, async () => {
    await desk.command('dial', `sip:${prefix}040123@${system.domain}`);
    await ann.waitFor('CALL_INCOMING');
    assert.equal((await trunks())[trunk]!.calls, 1);
    await ann.command('accept');
    await Promise.all([ann.waitFor('CALL_ESTABLISHED'), desk.waitFor('CALL_ESTABLISHED')]);
    await new Promise((resolve) => setTimeout(resolve, 7000)); // what is proven is sound that lasts
    await desk.command('hangup');
    await ann.waitFor('CALL_CLOSED');
    assertHears('ann', middle(ann.heard(), 1, 5), stage.bobsWords, stage.alicesWords);
    assertHears('desk', middle(desk.heard(), 1, 5), stage.alicesWords, stage.bobsWords);
    await system.assertNothingLeft();
    assert.equal((await trunks())[trunk]!.calls, 0);
    // On the registrar's address Kamailio asks every call for the password; on the other one it asks nobody.
    if (trunk === 'registering') assert.match(provider.output, /got INVITE sip:\+4940123@\S+ .* authorized=acct/);
  });

test('a number that leads nowhere is refused, and takes no line', { skip }, async () => {
  await ann.command('dial', `sip:${NOWHERE}@${DOMAIN}`);
  const { param = '' } = await ann.waitFor('CALL_CLOSED');
  assert.match(param, /404/);
  assert.equal((await trunks()).registering!.calls, 0);
});

test('a stopped server takes its contact back', { skip }, async () => {
  await system.stop();
  await provider.said(
    /got REGISTER sip:provider\.example from sip:acct@provider\.example at 127\.0\.0\.1 expires=0 authorized=acct/,
  );
  await ann.command('dial', `sip:${BY_REGISTRATION}@${DOMAIN}`);
  const { param = '' } = await ann.waitFor('CALL_CLOSED');
  assert.match(param, /480/);
});
