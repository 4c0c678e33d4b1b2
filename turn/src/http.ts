import { once } from 'node:events';
import { createServer } from 'node:http';
import type { SocketAddress } from '@offhook/core';
import type { UserFigures } from './allocation/user-use.ts';

export interface HttpSources {
  metrics(): Promise<Record<string, number>>;
  figures(): Promise<readonly UserFigures[]>;
  details(): Promise<Record<string, unknown>>;
}

/** Users that are told apart in metrics; the rest is one sum, so that their number stays bounded. */
const MAX_USERS = 200;

/**
 * Figures over HTTP, for a server that stands alone: `/metrics` (Prometheus text), `/users` and `/status` (JSON). It has
 * no authentication, so it belongs on loopback or a network of its own.
 */
export async function openHttp(
  at: SocketAddress,
  sources: HttpSources,
): Promise<{ port: number; close(): Promise<void> }> {
  const json = (value: unknown) => ({ type: 'application/json', body: `${JSON.stringify(value)}\n` });
  const pages: Readonly<Record<string, () => Promise<{ type: string; body: string }>>> = {
    '/metrics': async () => ({
      type: 'text/plain; version=0.0.4',
      body: prometheusText(await sources.metrics(), await sources.figures()),
    }),
    '/users': async () => json({ users: await sources.figures() }),
    '/status': async () => json(await sources.details()),
  };
  const server = createServer(async (request, response) => {
    const path = (request.url ?? '').split('?')[0]!;
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (!page || !isRead) {
      response.writeHead(page ? 405 : 404, { 'content-type': 'text/plain' });
      response.end(page ? 'GET only\n' : `known are ${Object.keys(pages).join(', ')}\n`);
      return;
    }
    try {
      const { type, body } = await page();
      response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(body);
    } catch {
      response.writeHead(500);
      response.end();
    }
  });
  server.listen({ host: at.address, port: at.port });
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The counters, and those of each user that has sent most. */
export function prometheusText(metrics: Readonly<Record<string, number>>, users: readonly UserFigures[]): string {
  const lines: string[] = [];
  const types = new Set<string>();
  const add = (name: string, value: number) => {
    const bare = name.replace(/\{.*/, '');
    if (!types.has(bare)) {
      types.add(bare);
      lines.push(`# TYPE ${bare} ${bare.endsWith('_total') ? 'counter' : 'gauge'}`);
    }
    lines.push(`${name} ${value}`);
  };
  for (const name of Object.keys(metrics).sort()) add(name, metrics[name]!);
  const told = users.slice(0, MAX_USERS);
  const label = (user: string) => `{user="${user.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"}`;
  for (const one of told) add(`offhook_turn_user_allocations${label(one.user)}`, one.allocations);
  for (const one of told) add(`offhook_turn_user_bytes_to_peers_total${label(one.user)}`, one.bytesToPeers);
  for (const one of told) add(`offhook_turn_user_bytes_to_client_total${label(one.user)}`, one.bytesToClient);
  return `${lines.join('\n')}\n`;
}
