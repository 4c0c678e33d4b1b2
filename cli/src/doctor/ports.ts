import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Config } from '../config/config.ts';
import { command } from '../spelling.ts';
import { controlPortFinding } from './control-port.ts';
import type { Finding } from './finding.ts';
import { holderOf } from './holder.ts';
import { turnRemedy } from './turn.ts';

/** NG over other transports, where it was asked for. */
function controlPorts({ media: { ngTcpPort, ngWebSocketPort } }: Config) {
  const wanted = [
    ['media control over TCP', 'tcp', ngTcpPort],
    ['media control over WebSocket', 'tcp', ngWebSocketPort],
  ] as const;
  return wanted.flatMap(([what, kind, port]) => (port === undefined ? [] : [[what, kind, port] as const]));
}

/** Ports that a start would skip, because somebody has them. */
export async function portsFree(config: Config): Promise<Finding[]> {
  const wanted = [
    ['HTTP', 'tcp', config.http.port],
    ['HTTPS', 'tcp', config.http.tlsPort],
    ['SIP', 'udp', config.sip.port],
    ['SIP', 'tcp', config.sip.port],
    ['SIP over TLS', 'tcp', config.sip.tlsPort],
    ...turnPorts(config),
    ['media', 'udp', config.media.muxPort],
    ...controlPorts(config),
  ] as const;
  const findings = await Promise.all(
    wanted.map(async ([what, kind, port]): Promise<Finding> => {
      const free = port === 0 || (await (kind === 'tcp' ? tcpFree(port) : udpFree(port)));
      if (free) return { what: `${what} port`, state: 'good', words: `${kind} ${port || 'any'} is free` };
      const holder = holderOf(kind, port);
      const taken = `${kind} ${port} is taken by ${holder?.words ?? 'another program'}`;
      if (holder?.data !== undefined)
        return {
          what: `${what} port`,
          state: 'note',
          words: `${taken}, of the Offhook with the data folder ${holder.data}; the next free one would be used`,
          remedy: `to examine that system: ${command('doctor', { cwd: process.cwd(), data: holder.data })}`,
        };
      return {
        what: `${what} port`,
        state: 'note',
        words: `${taken}; the next free one would be used`,
        remedy: turnRemedy(holder?.words),
      };
    }),
  );
  return config.media.relays ? findings : [...findings, await controlPortFinding(config)];
}

function turnPorts({ turn }: Config): (readonly [string, 'udp' | 'tcp', number])[] {
  if (!turn.enabled) return [];
  return [
    ['TURN', 'udp', turn.port],
    ...(turn.tcp ? [['TURN', 'tcp', turn.port] as const] : []),
    ...(turn.tls ? [['TURN over TLS', 'tcp', turn.tlsPort] as const] : []),
  ];
}

function tcpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function udpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}
