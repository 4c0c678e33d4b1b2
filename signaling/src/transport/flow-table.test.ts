import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from '../transaction/index.ts';
import { FlowTable } from './flow-table.ts';

const at = { address: '192.0.2.1', port: 5060 };
const flow = (id: number, isKnown?: boolean): Flow => ({ id, transport: 'udp', local: at, remote: at, isKnown });

test('forged sources push strangers out, never a phone that is known', () => {
  const flows = new FlowTable();
  const phone = flow(1);
  const stranger = flow(2);
  flows.set('phone', phone);
  flows.set('stranger', stranger);
  phone.isKnown = true;
  assert.equal(flows.get('phone'), phone);
  for (let i = 0; i < 100_000; i++) flows.set(`forged ${i}`, flow(i));
  assert.equal(flows.get('phone'), phone);
  assert.equal(flows.get('stranger'), undefined);
  flows.clear();
  assert.equal(flows.get('phone'), undefined);
});

test('of the known ones the one that was silent for longest is forgotten', () => {
  const flows = new FlowTable();
  flows.set('silent', flow(1, true));
  flows.set('busy', flow(2, true));
  for (let i = 0; i < 19_999; i++) {
    assert.ok(flows.get('busy'));
    flows.set(`${i}`, flow(i, true));
  }
  assert.equal(flows.get('silent'), undefined);
  assert.ok(flows.get('busy'));
});
