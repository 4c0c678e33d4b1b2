import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Server } from '../load/rounds.ts';
import { Pinned, SERVER_CPU } from '../pinned.ts';
import { SERVER, untilListening } from './relay-server.ts';

/** `coturn 4.6.1`; undefined when it is not installed. */
export function coturnVersion(): string | undefined {
  try {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const said = execFileSync('turnserver', ['--version'], {
      encoding: 'utf8',
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return `coturn ${said.trim().split('\n').at(-1)}`;
  } catch {
    return undefined;
  }
}

/** coturn with authentication and nothing that a relay of UDP does without; `threads` undefined = as many as it likes. */
export async function startCoturn(folder: string, threads: number | undefined): Promise<Server> {
  const log = join(folder, 'coturn.log');
  const { address, port, portMin, portMax, realm, secret } = SERVER;
  const options = [
    '-n',
    ...['--use-auth-secret', '--static-auth-secret', secret, '--realm', realm],
    ...['-L', address, '-E', address, '-p', String(port), '--min-port', String(portMin), '--max-port', String(portMax)],
    ...(threads === undefined ? [] : ['-m', String(threads)]),
    ...['--allow-loopback-peers', '--no-cli', '--no-tls', '--no-dtls', '--no-tcp', '--no-tcp-relay'],
    ...['--no-software-attribute', '--log-file', '/dev/null', '--simple-log', '--no-stdout-log'],
  ];
  const server = await Pinned.start(['turnserver', ...options, '--pidfile', join(folder, 'coturn.pid')], {
    cpu: SERVER_CPU,
    cwd: folder,
    log,
  });
  await untilListening(server, log);
  return {
    name: 'coturn',
    process: server,
    command: `turnserver ${options.join(' ')} (pinned with taskset -c ${SERVER_CPU})`,
    settings: '',
  };
}
