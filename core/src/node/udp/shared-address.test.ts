import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  batchedUdpProblem,
  bindUdpDescriptors,
  closeLeftDescriptors,
  descriptorMemory,
  noteDescriptors,
  openUdpPort,
  systemRingProblem,
  type UdpDescriptor,
  UdpEndpoint,
} from './index.ts';

interface ThreadData {
  readonly name: number;
  readonly fd: UdpDescriptor;
  readonly memory: SharedArrayBuffer;
}

/** Answers every packet with its own name, in a thread. */
async function answer({ name, fd, memory }: ThreadData): Promise<void> {
  noteDescriptors(memory);
  const port = await openUdpPort({ ...fd.local, fd });
  port.onReadable = () => {
    const n = port.fill();
    for (let i = 0; i < n; i++) {
      port.rx.bytes[port.rx.offset[i]!] = name;
      port.stageReply(port.rx.offset[i]!, port.rx.length[i]!, i);
    }
  };
  // A socket of its own, which has to be gone with the thread.
  const own = await openUdpPort({ address: fd.local.address, port: 0 });
  own.onReadable = () => {};
  parentPort!.on('message', () => {
    throw new Error('stopped');
  });
  parentPort!.postMessage('ready');
}

async function startWorker(name: number, fd: UdpDescriptor, memory = descriptorMemory()): Promise<Worker> {
  const workerData: ThreadData = { name, fd, memory };
  const worker = new Worker(new URL(import.meta.url), { workerData });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return worker;
}

async function stop(worker: Worker): Promise<void> {
  worker.on('error', () => {});
  worker.postMessage('stop');
  await new Promise((resolve) => worker.once('exit', resolve));
}

if (isMainThread) {
  const problem = await batchedUdpProblem();
  const systemRing = (await systemRingProblem()) === undefined;
  /** Memory of this process that belongs to rings. */
  const ringMaps = () => readFileSync('/proc/self/maps', 'utf8').match(/io_uring/g)?.length ?? 0;
  for (const address of ['127.0.0.1', '::1'])
    test(`${address}: every source stays with one of two threads, also when one of them is replaced`, {
      skip: problem ?? false,
      timeout: 30_000,
    }, async () => {
      const openBefore = readdirSync('/proc/self/fd').length;
      const descriptors = await bindUdpDescriptors({ address, port: 0 }, 2);
      const [first, second] = descriptors as [UdpDescriptor, UdpDescriptor];
      assert.equal(first.local.port, second.local.port);
      await assert.rejects(openUdpPort({ ...first.local }), { code: 'EADDRINUSE' });
      // another program that shares its port sees that it is had, though the system would let it in
      await assert.rejects(bindUdpDescriptors({ ...first.local }, 2), { code: 'EADDRINUSE' });
      const to = UdpEndpoint.from(first.local)!;
      const clients = await Promise.all(Array.from({ length: 50 }, () => openUdpPort({ address, port: 0 })));

      /** Who answered each client. */
      const round = async (between?: () => Promise<unknown>): Promise<number[]> => {
        const names = new Array<number>(clients.length).fill(0);
        let answers = 0;
        const answered = new Promise<void>((resolve) => {
          for (const [i, client] of clients.entries())
            client.onReadable = () => {
              const n = client.fill();
              if (n > 0) names[i] = client.rx.bytes[client.rx.offset[0]!]!;
              answers += n;
              if (answers === clients.length) resolve();
            };
        });
        for (const client of clients) client.send(new Uint8Array(20), to);
        await between?.();
        await answered;
        return names;
      };

      const memory = descriptorMemory();
      let one = await startWorker(1, first, memory);
      const two = await startWorker(2, second);
      const names = await round();
      assert.ok(names.includes(1) && names.includes(2), 'both have clients');
      assert.deepEqual(await round(), names);
      await one.terminate();
      // What comes while nobody reads waits for the next thread.
      assert.deepEqual(
        await round(async () => {
          await new Promise((resolve) => setTimeout(resolve, 50));
          const left = systemRing ? 3 : 2;
          const mapped = ringMaps();
          assert.equal(await closeLeftDescriptors(memory), left, 'its epoll descriptor, its socket and its ring');
          assert.equal(ringMaps(), mapped - (systemRing ? 2 : 0), 'and the memory of the ring');
          one = await startWorker(1, first, memory);
        }),
        names,
      );
      await stop(two);
      const another = await startWorker(2, second);
      assert.deepEqual(await round(), names);
      await stop(one);
      await stop(another);
      for (const client of clients) client.close();
      const { libc } = await import('./libc.ts');
      for (const { fd } of descriptors) assert.equal(libc.close(fd), 0);
      assert.equal(await closeLeftDescriptors(memory), 0, 'a thread that ends by an error closes its own');
      assert.equal(readdirSync('/proc/self/fd').length, openBefore);
    });
} else {
  await answer(workerData as ThreadData);
}
