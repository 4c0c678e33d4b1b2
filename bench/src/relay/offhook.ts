import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RELAY_FLAGS } from '@offhook/core/node';
import type { Server } from '../load/rounds.ts';
import { Pinned, SERVER_CPU } from '../pinned.ts';
import { untilAnswering } from './calls.ts';
import { RELAY } from './rtpengine.ts';

const MUX_PORT = 31_000;

/** Our media relay, one worker, started as `offhook start` does it. */
export async function startOffhook(folder: string, flags: readonly string[]): Promise<Server> {
  const own = join(folder, 'offhook');
  mkdirSync(own, { recursive: true });
  const { ngPort, portMin, portMax, timeoutS } = RELAY;
  const settings = {
    part: 'media-relay',
    runDir: own,
    configHash: '',
    ng: { address: '127.0.0.1', port: ngPort },
    mux: { addresses: ['127.0.0.1'], port: MUX_PORT },
    rtp: { address: '127.0.0.1', portMin, portMax },
    mediaTimeoutS: timeoutS,
  };
  const file = join(own, 'media-relay.json');
  writeFileSync(file, JSON.stringify(settings));
  const options = [...RELAY_FLAGS, ...flags];
  const script = new URL('../../../media-relay/src/main.ts', import.meta.url).pathname;
  const server = await Pinned.start([process.execPath, ...options, script, '--config', file], {
    cpu: SERVER_CPU,
    cwd: own,
    log: join(own, 'log'),
  });
  await untilAnswering(ngPort);
  const command = ['node', ...options, 'media-relay/src/main.ts', '--config', 'media-relay.json'].join(' ');
  const pinned = `${command} (pinned with taskset -c ${SERVER_CPU})`;
  return { name: 'Offhook', process: server, command: pinned, settings: JSON.stringify(settings) };
}
