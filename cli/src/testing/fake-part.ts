import { createServer } from 'node:net';
import { type PartConfig, runPart } from '@offhook/core/node';

/** A part that only holds a TCP port, and misbehaves as its configuration asks. */
export interface FakePartConfig extends PartConfig {
  readonly port: number;
  readonly behave?: 'well' | 'fail to start' | 'ignore SIGTERM' | 'be busy for 3 s';
}

await runPart(async ({ port, behave }: FakePartConfig) => {
  if (behave === 'fail to start') throw new Error('the moon is in the wrong house');
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  if (behave === 'be busy for 3 s')
    setTimeout(() => {
      for (const until = performance.now() + 3000; performance.now() < until; );
    }, 300);
  const address = server.address();
  return {
    ports: { tcp: typeof address === 'object' && address ? address.port : 0 },
    stop: () =>
      behave === 'ignore SIGTERM' ? new Promise<void>(() => {}) : new Promise((done) => server.close(() => done())),
  };
});
