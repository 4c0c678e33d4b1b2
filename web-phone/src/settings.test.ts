import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS, loginToken, readSettings, urlOptions } from './settings.ts';

const storage = (text: string | null) => ({ getItem: () => text }) as unknown as Storage;

test('options from the address', () => {
  assert.deepEqual(urlOptions('?ice=relay&processing=off&autoanswer=1'), {
    relayOnly: true,
    processingOff: true,
    autoAnswer: true,
  });
  assert.deepEqual(urlOptions(''), { relayOnly: false, processingOff: false, autoAnswer: false });
});

test('the login token is found, and nothing else is taken for one', () => {
  assert.equal(loginToken('#login=abc_DEF-1.2~3'), 'abc_DEF-1.2~3');
  assert.equal(loginToken('#x=1&login=abc'), 'abc');
  for (const bad of ['', '#', '#login=', '#login=a b', '#xlogin=a']) assert.equal(loginToken(bad), undefined, bad);
});

test('stored settings of another version do no harm', () => {
  assert.deepEqual(readSettings(storage(null)), DEFAULT_SETTINGS);
  assert.deepEqual(readSettings(storage('not json')), DEFAULT_SETTINGS);
  assert.deepEqual(readSettings(storage('{"camera":7,"relayOnly":true,"old":1}')), {
    ...DEFAULT_SETTINGS,
    relayOnly: true,
  });
});
