import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ChatTerminal } from './src/chat-terminal.ts';
import { System, scratchFolder } from './src/system.ts';

const PASSWORD = 'correct-Horse-7';
const USERS = ['ann', 'ben'] as const;

const folder = scratchFolder();
let system: System;

before(async () => {
  system = await System.start({ folder: folder.path });
  for (const user of USERS) await system.addUser(user, PASSWORD);
});

after(async () => {
  await system?.stop();
  folder.remove();
});

const terminal = (user: string, ...more: string[]) =>
  new ChatTerminal({ folder: join(folder.path, user), password: PASSWORD }, user, '--config', system.config, ...more);

for (const transport of ['udp', 'tcp', 'tls'])
  test(`a terminal finds the system that runs here by itself and signs in over ${transport}; at its end the phone is gone`, async () => {
    await using ann = terminal('ann', '--transport', transport);
    await ann.says(new RegExp(`signed in as ann@offhook\\.local at 127\\.0\\.0\\.1:${system.ports[transport]} `));
    const isOnline = async () => {
      const list = (await system.verb('signaling', 'users', { op: 'list' })) as { user: string; online: boolean }[];
      return list.find(({ user }) => user === 'ann')?.online;
    };
    assert.equal(await isOnline(), true);
    ann.end();
    assert.equal(await ann.ended, 0, ann.output);
    assert.equal(await isOnline(), false);
  });

test('a wrong password is said, and how to make a new one', async () => {
  const how = { folder: join(folder.path, 'wrong'), password: 'wrong-Horse-7' };
  await using ann = new ChatTerminal(how, 'ann', '--config', system.config);
  assert.equal(await ann.ended, 1, ann.output);
  assert.match(ann.output, /not signed in: .*; a new password: .* user passwd ann --config /);
});

test('two terminals: texts now and for later with their receipts, and who is there', async () => {
  await using ann = terminal('ann', '--to', 'ben');
  await ann.says(/signed in as ann/);
  await ann.says(/ben is offline/);
  const ben = terminal('ben', '--transport', 'tls');
  await ann.says(/ben is available/);
  await ben.says(/signed in as ben/);
  ann.type('hello <ben> & all');
  await ben.says(/\d\d:\d\d ann: hello <ben> & all\n/);
  await ann.says(/delivered to ben: hello/);
  ben.type('hello ann');
  await ann.says(/\d\d:\d\d ben: hello ann\n/);
  ben.type('/status away back at five');
  await ann.says(/ben is away: back at five\n/);
  ben.end();
  assert.equal(await ben.ended, 0, ben.output);
  await ann.says(/back at five[\s\S]*ben is offline\n/);
  ann.type('for later');
  await ann.says(/stored: ben gets it when back: for later\n/);
  await using again = terminal('ben', '--transport', 'tcp');
  await again.says(/ann: for later\n/);
  await ann.says(/delivered to ben: for later\n/);
  ann.type('/to nobody');
  ann.type('are you there');
  await ann.says(/failed: .*: are you there\n/);
});
