import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { type TestContext, test } from 'node:test';
import { loadConfig } from '../config/config.ts';
import type { FoundPart } from '../running.ts';
import { controlPortFinding, controlPortUsed, takenControlPorts } from './control-port.ts';

const DEFAULTS = loadConfig({}, tmpdir(), tmpdir());

async function takenPort(t: TestContext, address = '127.0.0.1'): Promise<number> {
  const socket = createSocket('udp4').bind(0, address);
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket.address().port;
}

const withMedia = (media: object) => ({ ...DEFAULTS, media: { ...DEFAULTS.media, ...media } });

test('a control port that is set and taken would keep Offhook from starting', async (t) => {
  const ngPort = await takenPort(t);
  const { state, words } = await controlPortFinding(withMedia({ ngPort }));
  assert.equal(state, 'bad');
  assert.match(
    words,
    new RegExp(
      `^udp ${ngPort} is taken by .*\\(pid ${process.pid}\\); media\\.ngPort asks for that very one, so Offhook would not start$`,
    ),
  );
});

test('it is looked for on its own address, at each worker, and what a part of ours has is no obstacle', async (t) => {
  const port = await takenPort(t, '127.0.0.9');
  const [here, there] = [withMedia({ ngPort: port }), withMedia({ ngPort: port, ngAddress: '127.0.0.9' })];
  assert.deepEqual(await takenControlPorts(here), []);
  assert.equal((await takenControlPorts(there)).length, 1);
  const second = withMedia({ ngPort: port - 1, ngAddress: '127.0.0.9', workers: 2 });
  assert.ok((await takenControlPorts(second)).some(({ words }) => words.startsWith(`udp ${port} `)));
  const own = [{ name: 'media-relay-0', own: undefined, status: { ports: { ng: port } } }] as unknown as FoundPart[];
  assert.deepEqual(await takenControlPorts(there, own), []);
  assert.deepEqual(await takenControlPorts(withMedia({ ngPort: 0 })), []);
});

test('a worker on another control port than the usual one is told of, with both ports', () => {
  const [finding, ...more] = controlPortUsed('media-relay-1', { ng: 2226 }, DEFAULTS);
  assert.deepEqual([finding?.what, finding?.state, more], ['media-relay-1 control', 'note', []]);
  assert.match(finding!.words, /^uses udp 2226, because 2224 (was taken|is taken by .*)$/);
  assert.match(finding!.remedy!, /a controller of yours has to be told 2226 otherwise$/);
  assert.deepEqual(controlPortUsed('media-relay-1', { ng: 2224 }, DEFAULTS), []);
  assert.deepEqual(controlPortUsed('media-relay-0', { ng: 40_000 }, withMedia({ ngPort: 0 })), []);
});
