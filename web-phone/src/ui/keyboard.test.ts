import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KeyPress, keyAction } from './keyboard.ts';

const press = (key: string, change: Partial<KeyPress> = {}): string => {
  const action = keyAction({ key, modified: false, focus: 'page', phase: 'idle', inputEmpty: true, ...change });
  return action.kind === 'type' ? `type ${action.text}` : action.kind === 'tone' ? `tone ${action.key}` : action.kind;
};

test('typing anywhere dials', () => {
  assert.equal(press('6'), 'type 6');
  assert.equal(press('b'), 'type b');
  assert.equal(press('Enter'), 'call');
  assert.equal(press('Backspace'), 'backspace');
  assert.equal(press('Escape'), 'clear');
  assert.equal(press('6', { focus: 'dial-input' }), 'none');
  assert.equal(press('Enter', { focus: 'dial-input' }), 'call');
});

test('a focused button keeps its Enter, other inputs keep everything, shortcuts of the browser stay', () => {
  assert.equal(press('Enter', { focus: 'button' }), 'none');
  assert.equal(press('6', { focus: 'button' }), 'type 6');
  assert.equal(press('6', { focus: 'other-input' }), 'none');
  assert.equal(press('c', { modified: true }), 'none');
  assert.equal(press('Tab'), 'none');
  assert.equal(press(' '), 'none');
});

test('an incoming call is answered and declined by keys', () => {
  const incoming = { phase: 'incoming' } as const;
  assert.equal(press('Enter', incoming), 'answer');
  assert.equal(press('a', incoming), 'answer');
  assert.equal(press('V', incoming), 'answer-video');
  assert.equal(press('Escape', incoming), 'decline');
  assert.equal(press('Enter', { ...incoming, focus: 'button' }), 'none');
});

test('somebody typing a name does not answer by accident', () => {
  const typing = { phase: 'incoming', focus: 'dial-input', inputEmpty: false } as const;
  assert.equal(press('a', typing), 'none');
  assert.equal(press('Enter', typing), 'none');
  assert.equal(press('Escape', typing), 'decline');
});

test('in a call digits are tones and Escape never hangs up', () => {
  const active = { phase: 'active' } as const;
  assert.equal(press('5', active), 'tone 5');
  assert.equal(press('#', active), 'tone #');
  assert.equal(press('m', active), 'mute');
  assert.equal(press('v', active), 'video');
  assert.equal(press('Escape', active), 'close');
  assert.equal(press('Escape', { phase: 'ringing' }), 'cancel');
  assert.equal(press('5', { phase: 'ringing' }), 'none');
});
