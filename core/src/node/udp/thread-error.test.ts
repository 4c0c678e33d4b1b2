import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { batchedUdpProblem, openUdpPort, UdpEndpoint } from './index.ts';

if (isMainThread) {
  test('an error in a packet handler ends its thread and is told', {
    skip: (await batchedUdpProblem()) ?? false,
    timeout: 30_000,
  }, async () => {
    const thread = new Worker(new URL(import.meta.url));
    const ended = new Promise<string>((resolve) => thread.once('error', (error: Error) => resolve(error.message)));
    const port = await new Promise<number>((resolve) => thread.once('message', resolve));
    const sender = await openUdpPort({ address: '127.0.0.1', port: 0 });
    sender.send(new Uint8Array(1), UdpEndpoint.from({ address: '127.0.0.1', port })!);
    assert.equal(await ended, 'a mistake in a handler');
    sender.close();
  });
} else {
  const port = await openUdpPort({ address: '127.0.0.1', port: 0 });
  port.onReadable = () => {
    throw new Error('a mistake in a handler');
  };
  parentPort!.postMessage(port.local.port);
}
