import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCoturnConf } from '@offhook/turn';
import { ROOT } from '../root.ts';
import { exampleConf } from './turn-coturn-conf.ts';

const PATH = join(ROOT, 'coturn.conf');

test('the coturn.conf of the project is what the defaults make; WRITE=1 writes it anew', () => {
  const text = exampleConf();
  if (process.env.WRITE === '1') writeFileSync(PATH, text);
  assert.equal(readFileSync(PATH, 'utf8'), text);
});

test('as it is it lets nobody in; with a secret it is whole', () => {
  const text = readFileSync(PATH, 'utf8');
  const { problems } = readCoturnConf(text, { own: ['192.0.2.2'] });
  assert.deepEqual(problems, ['use-auth-secret needs static-auth-secret; secrets in a database are not read']);
  const whole = readCoturnConf(`${text}static-auth-secret=s\n`, { own: ['192.0.2.2'] });
  assert.deepEqual(whole.problems, []);
  assert.deepEqual(whole.settings.peers, { base: 'public', allow: [], deny: [] });
  assert.doesNotMatch(text, /[<>]/);
});
