import { once } from 'node:events';
import { createServer } from 'node:http';
import type { SocketAddress } from '@offhook/core';
import type { UserFigures } from './allocation/user-use.ts';

export interface HttpSources {
  metrics(): Promise<Record<string, number>>;
  figures(): Promise<readonly UserFigures[]>;
  details(): Promise<Record<string, unknown>>;
}

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
      body: prometheusText(await sources.metrics()),
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
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is in use by somebody else' : `can’t be listened on: ${message}`;
    throw new Error(`turn.http: ${at.address} port ${at.port} ${why}`);
  }
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

/** The text format of Prometheus (0.0.4): `_total` is a counter, everything else a gauge. */
function prometheusText(metrics: Readonly<Record<string, number>>): string {
  const lines: string[] = [];
  let family = '';
  // by family: all samples of one belong together
  const familyOf = (name: string) => name.replace(/\{.*/s, '');
  const names = Object.keys(metrics).sort((a, b) =>
    familyOf(a) < familyOf(b) ? -1 : familyOf(a) > familyOf(b) ? 1 : 0,
  );
  for (const name of names) {
    if (familyOf(name) !== family) {
      family = familyOf(name);
      lines.push(`# TYPE ${family} ${family.endsWith('_total') ? 'counter' : 'gauge'}`);
    }
    lines.push(`${name} ${metrics[name]}`);
  }
  return `${lines.join('\n')}\n`;
}
