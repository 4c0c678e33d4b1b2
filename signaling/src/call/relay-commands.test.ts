import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NgResult } from '../media/index.ts';
import type { Call } from './call.ts';
import { type RelayCommand, RelayCommands } from './relay-commands.ts';

const OK: NgResult = { ok: { result: 'ok' } };

function kit() {
  const sent: RelayCommand[] = [];
  const told: string[] = [];
  const call = { state: 'answered', near: 'there' } as Call;
  return { relay: new RelayCommands(sent), sent, told, call, note: (name: string) => () => void told.push(name) };
}

test('a result reaches who waits for it, once, in whatever order results come', () => {
  const { relay, sent, told, call, note } = kit();
  relay.sendFor(call, { command: 'offer' }, note('offer'));
  relay.send({ command: 'delete' }, note('delete'));
  assert.deepEqual(
    sent.map(({ message, near }) => [message.command, near]),
    [
      ['offer', 'there'],
      ['delete', undefined],
    ],
  );
  const [first, second] = sent as [RelayCommand, RelayCommand];
  relay.handleResult(second.id, OK, 0);
  relay.handleResult(first.id, OK, 0);
  relay.handleResult(first.id, OK, 0);
  assert.deepEqual(told, ['delete', 'offer']);
  assert.equal(relay.size, 0);
});

test('of a call that has ended nothing is sent or told any more, but what is to be seen through is', () => {
  const { relay, sent, told, call, note } = kit();
  relay.sendFor(call, { command: 'offer' }, note('offer'));
  relay.send({ command: 'delete' }, note('delete'));
  call.state = 'ended';
  relay.sendFor(call, { command: 'answer' }, note('answer'));
  assert.equal(sent.length, 2);
  for (const { id } of sent) relay.handleResult(id, OK, 0);
  assert.deepEqual(told, ['delete']);
  assert.equal(relay.size, 0);
});
