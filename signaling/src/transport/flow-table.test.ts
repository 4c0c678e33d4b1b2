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

test('20,000 known ones are remembered; of more those that were silent for longest are forgotten', () => {
  const flows = new FlowTable();
  flows.set('silent', flow(1, true));
  flows.set('busy', flow(2, true));
  const others = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      assert.ok(flows.get('busy'));
      flows.set(i, flow(i, true));
    }
  };
  others(0, 19_998);
  assert.ok(flows.get(0));
  others(19_998, 40_000);
  assert.ok(flows.get(20_001));
  others(40_000, 60_000);
  assert.equal(flows.get('silent'), undefined);
  assert.equal(flows.get(1), undefined);
  assert.ok(flows.get('busy'));
});
