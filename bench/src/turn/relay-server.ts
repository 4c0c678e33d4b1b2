import { readFileSync } from 'node:fs';
import type { Pinned } from '../pinned.ts';
import { waitUntil } from '../ports.ts';

/** What both servers are told alike. */
export const SERVER = {
  address: '127.0.0.1',
  port: 3478,
  portMin: 10_000,
  portMax: 65_535,
  realm: 'bench.invalid',
  secret: 'bench-turn-secret',
} as const;

/** Until the server has its port; `udp` of `/proc/net` tells it without taking part. */
export async function untilListening(server: Pinned, log: string): Promise<void> {
  const local = `0100007F:${SERVER.port.toString(16).toUpperCase().padStart(4, '0')}`;
  await waitUntil(
    `a server listens at port ${SERVER.port}`,
    () => {
      if (!server.isRunning) throw new Error(`the server did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`);
      return readFileSync('/proc/net/udp', 'utf8').includes(local);
    },
    20_000,
  );
}
