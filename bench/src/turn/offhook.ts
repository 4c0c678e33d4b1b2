import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERVER_FLAGS } from '@offhook/core/node';
import type { Server } from '../load/rounds.ts';
import { Pinned, SERVER_CPU } from '../pinned.ts';
import { SERVER, untilListening } from './relay-server.ts';

export interface OffhookOptions {
  /** How long it may wait for company of a packet. */
  readonly gatherUs: number;
  /** More options for Node, those of a profile. */
  readonly flags?: readonly string[];
}

/** Our TURN server, started as `offhook start` does it. */
export async function startOffhook(folder: string, { gatherUs, flags = [] }: OffhookOptions): Promise<Server> {
  const own = join(folder, 'offhook');
  mkdirSync(own, { recursive: true });
  const { address, port, portMin, portMax, realm, secret } = SERVER;
  const settings = {
    part: 'turn',
    runDir: own,
    configHash: '',
    listen: { udp: [{ address, port }], tcp: [], tls: [] },
    relay: { addresses: [{ address }], portMin, portMax },
    realm,
    secrets: [secret],
    peers: { base: 'none', allow: [{ address: '127.0.0.0/8' }], deny: [] },
    limits: { allocations: 20_000 },
    gatherUs,
  };
  const file = join(own, 'turn.json');
  writeFileSync(file, JSON.stringify(settings));
  const log = join(own, 'log');
  const script = new URL('../../../turn/src/main.ts', import.meta.url).pathname;
  const options = [...SERVER_FLAGS, ...flags];
  const server = await Pinned.start([process.execPath, ...options, script, '--config', file], {
    cpu: SERVER_CPU,
    cwd: own,
    log,
  });
  await untilListening(server, log);
  const command = ['node', ...options, 'turn/src/main.ts', '--config', 'turn.json'].join(' ');
  return {
    name: 'Offhook',
    process: server,
    command: `${command} (pinned with taskset -c ${SERVER_CPU})`,
    settings: JSON.stringify(settings),
  };
}
