import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Server } from '../load/rounds.ts';
import { Pinned, SERVER_CPU } from '../pinned.ts';
import { untilAnswering } from './calls.ts';

/** What both relays are told alike. */
export const RELAY = { ngPort: 2223, portMin: 10_000, portMax: 30_000, timeoutS: 3600 } as const;

/** `rtpengine 10.5.3`; undefined when it is not installed. */
export function rtpengineVersion(): string | undefined {
  try {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const options = { encoding: 'utf8', env, stdio: 'pipe' } as const;
    const version = /\d+\.\d+[\d.]*/.exec(execFileSync('sh', ['-c', 'rtpengine --version 2>&1'], options))?.[0];
    return version && `rtpengine ${version}`;
  } catch {
    return undefined;
  }
}

/** rtpengine in user space with so many threads, logging warnings only. */
export async function startRtpengine(folder: string, threads: number): Promise<Server> {
  const { ngPort, portMin, portMax, timeoutS } = RELAY;
  const options = [
    ...['--table=-1', '--interface=127.0.0.1', `--listen-ng=127.0.0.1:${ngPort}`, '--foreground', '--log-stderr'],
    ...['--log-level=4', `--num-threads=${threads}`, `--port-min=${portMin}`, `--port-max=${portMax}`],
    ...[`--timeout=${timeoutS}`, `--silent-timeout=${timeoutS}`, `--pidfile=${join(folder, 'rtpengine.pid')}`],
  ];
  const log = join(folder, 'rtpengine.log');
  const server = await Pinned.start(['rtpengine', ...options], { cpu: SERVER_CPU, cwd: folder, log });
  await untilAnswering(ngPort);
  const command = `rtpengine ${options.join(' ')} (pinned with taskset -c ${SERVER_CPU})`;
  return { name: 'rtpengine', process: server, command, settings: '' };
}
