import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WrongPasswords } from './wrong-passwords.ts';

const FROM = { address: '192.0.2.1', transport: 'udp' } as const;

test('each account at each address is told once a minute, and what is no account is not repeated', () => {
  const lines: string[] = [];
  const wrong = new WrongPasswords(
    (user) => user === 'bob',
    (words) => lines.push(words),
  );
  wrong.handle('bob', FROM, 0);
  wrong.handle('bob', FROM, 59_999);
  wrong.handle('bob', FROM, 60_000);
  wrong.handle('hunter2', { ...FROM, transport: 'tls' }, 60_001);
  assert.deepEqual(lines, [
    'wrong password for bob, from 192.0.2.1 over UDP',
    'wrong password for bob, from 192.0.2.1 over UDP',
    'wrong password for an account that does not exist, from 192.0.2.1 over TLS',
  ]);
});

test('whoever guesses at everything gets a hundred lines a minute', () => {
  let lines = 0;
  const wrong = new WrongPasswords(
    () => false,
    () => lines++,
  );
  for (let i = 0; i < 1000; i++) wrong.handle(`user${i}`, FROM, i);
  assert.equal(lines, 100);
  wrong.handle('late', FROM, 61_000);
  assert.equal(lines, 101);
});
