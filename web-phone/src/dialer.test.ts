import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallSession } from './call-session.ts';
import { Dialer } from './dialer.ts';

const dialing = (answers: boolean[] = []) => {
  const placed: string[] = [];
  const said: string[] = [];
  let call: CallSession | undefined;
  const dialer = new Dialer({
    domain: () => 'offhook.local',
    call: () => call,
    place: async ({ uri }, video) => {
      placed.push(`${uri}${video ? ' video' : ''}`);
      return answers.shift() ?? true;
    },
    keySound: () => {},
    tell: (message) => void said.push(message?.title ?? ''),
    dismiss: () => {},
  });
  const during = (phase: string, sendTone = () => true): void => {
    call = { phase: { value: phase }, sendTone } as unknown as CallSession;
  };
  return { dialer, placed, said, during };
};

test('what was typed is called, and comes back when nothing is typed', async () => {
  const { dialer, placed } = dialing();
  for (const key of '600') dialer.press(key);
  await dialer.dial();
  assert.equal(dialer.input.value, '');
  await dialer.dial();
  assert.equal(dialer.input.value, '600');
  dialer.backspace();
  assert.equal(dialer.input.value, '60');
  assert.deepEqual(placed, ['sip:600@offhook.local']);
});

test('a call that never left keeps its number and can be repeated, with sound only too', async () => {
  const { dialer, placed } = dialing([false, false]);
  dialer.type('b');
  await dialer.dial(true);
  assert.equal(dialer.input.value, 'b');
  await dialer.again();
  await dialer.again({ video: false });
  assert.deepEqual(placed, ['sip:b@offhook.local video', 'sip:b@offhook.local video', 'sip:b@offhook.local']);
});

test('what cannot be called is told in words', async () => {
  const { dialer, placed, said } = dialing();
  await dialer.dial(false, 'two words');
  assert.deepEqual([placed, said], [[], ['That cannot be called']]);
});

test('a key is a tone in a call, nothing while it rings, a digit otherwise', async () => {
  const { dialer, placed, said, during } = dialing();
  during('active');
  dialer.press('1');
  during('active', () => false);
  dialer.press('2');
  during('ringing');
  dialer.press('3');
  await dialer.dial(false, '600');
  during('ended');
  dialer.press('4');
  assert.equal(dialer.input.value, '4');
  assert.deepEqual([placed, said], [[], ['The other side takes no key tones']]);
});
