import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { connectionLimit } from './connection-limit.ts';

/** As much of a socket as counts. */
class Fake extends EventEmitter {
  readonly remoteAddress: string;
  destroyed = false;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  destroy(): never {
    if (!this.destroyed) this.emit('close');
    this.destroyed = true;
    return undefined as never;
  }
}

test('HTTP has its share of the descriptors; what has become a WebSocket is not of it, what has ended makes room', () => {
  const hub = { webSockets: 0, limits: { http: 150 } };
  const limit = connectionLimit(hub);
  const open = (address: string) => {
    const socket = new Fake(address);
    limit(socket as unknown as Parameters<typeof limit>[0]);
    return socket;
  };
  const sockets = Array.from({ length: 150 }, () => open('127.0.0.1'));
  assert.ok(sockets.every((socket) => !socket.destroyed));
  assert.equal(open('127.0.0.1').destroyed, true);
  assert.equal(open('192.0.2.1').destroyed, true, 'whoever it is');
  hub.webSockets = 1;
  assert.equal(open('127.0.0.1').destroyed, false);
  assert.equal(open('127.0.0.1').destroyed, true);
  sockets[0]!.destroy();
  assert.equal(open('127.0.0.1').destroyed, false);
});

test('one network has a hundred, loopback more; those that are refused are not counted', () => {
  const limit = connectionLimit({ webSockets: 0, limits: { http: 1000 } });
  const open = (address: string) => {
    const socket = new Fake(address);
    limit(socket as unknown as Parameters<typeof limit>[0]);
    return socket;
  };
  const sockets = Array.from({ length: 102 }, (_, i) => open(`2001:db8::${i}`));
  assert.deepEqual(sockets.map((s) => s.destroyed).indexOf(true), 100);
  assert.equal(open('192.0.2.1').destroyed, false);
  sockets[0]!.destroy();
  assert.equal(open('2001:db8::ffff').destroyed, false);
});
