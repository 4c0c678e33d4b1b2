import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyFrameRequests, type KeyFrameSupport } from './key-frame-requests.ts';

const drain = (requests: KeyFrameRequests): string[] => {
  const all: string[] = [];
  for (let r = requests.poll(); r; r = requests.poll()) all.push(`${r.means} ${r.ssrc} ${r.command}`);
  return all;
};
const ALL: KeyFrameSupport = { pli: true, fir: true, info: true };

test('requests of any form leave in the one the sender understands', () => {
  const forms = [ALL, { ...ALL, pli: false }, { pli: false, fir: false, info: true }].map(
    (s) => new KeyFrameRequests(s),
  );
  for (const requests of forms) requests.handleRequest(5, 0);
  assert.deepEqual(forms.map(drain), [['pli 5 0'], ['fir 5 0'], ['info 5 0']]);
  const deaf = new KeyFrameRequests({ pli: false, fir: false, info: false });
  deaf.handleRequest(5, 0);
  assert.deepEqual([deaf.means, drain(deaf), deaf.nextTimeout()], [undefined, [], undefined]);
});

test('one request a second per source; those that came too soon become one at the end of it', () => {
  const requests = new KeyFrameRequests({ ...ALL, pli: false });
  requests.handleRequest(1, 0);
  requests.handleRequest(1, 0);
  requests.handleRequest(2, 10);
  assert.deepEqual(drain(requests), ['fir 1 0', 'fir 2 0']);
  for (let t = 20; t < 900; t += 20) requests.handleRequest(1, t);
  assert.deepEqual(drain(requests), []);
  assert.equal(requests.nextTimeout(), 1000);
  requests.handleTimeout(999);
  assert.deepEqual(drain(requests), []);
  requests.handleTimeout(1000);
  assert.deepEqual(drain(requests), ['fir 1 1']);
  assert.equal(requests.nextTimeout(), undefined);
  requests.handleRequest(1, 1999);
  assert.deepEqual([drain(requests), requests.nextTimeout()], [[], 2000]);
  assert.deepEqual([requests.asked, requests.sent], [48, 3]);
});

test('a key frame answers what was asked for before it', () => {
  const requests = new KeyFrameRequests(ALL);
  requests.handleRequest(1, 0);
  drain(requests);
  requests.handleRequest(1, 100);
  requests.handleKeyFrame(1);
  requests.handleKeyFrame(99);
  assert.equal(requests.nextTimeout(), undefined);
  requests.handleTimeout(5000);
  assert.deepEqual(drain(requests), []);
});

test('signalling is asked every three seconds at most', () => {
  const requests = new KeyFrameRequests({ pli: false, fir: false, info: true });
  let sent = 0;
  for (let t = 0; t < 9000; t += 100) {
    requests.handleRequest(1, t);
    requests.handleTimeout(t);
    sent += drain(requests).length;
  }
  assert.equal(sent, 3);
});

test('sources without end cost no memory and no flood of requests', () => {
  const requests = new KeyFrameRequests(ALL);
  let sent = 0;
  for (let t = 0; t < 1000; t++) {
    requests.handleRequest(t, t / 10);
    sent += drain(requests).length;
  }
  assert.equal(sent, 16);
});
