import type { Config } from '../config/config.ts';
import { ngPortOf } from '../config/media.ts';
import { workerCount } from '../parts.ts';
import type { Ports } from '../supervisor/spec.ts';

/** One line for each port that somebody else had, so that another one is used. */
export function skippedPorts(config: Config, portsOf: (part: string) => Ports): string[] {
  const signaling = portsOf('signaling');
  const turn = portsOf('turn');
  const workers = Array.from({ length: workerCount(config) }, (_, i) => ({ i, ports: portsOf(`media-relay-${i}`) }));
  const several = workers.length > 1;
  const pairs: readonly (readonly [string, number, number | undefined])[] = [
    ['the web phone', config.http.port, signaling.http],
    ['SIP over UDP', config.sip.port, signaling.udp],
    ['SIP over TCP', config.sip.port, signaling.tcp],
    ['the web phone over HTTPS', config.http.tlsPort, signaling.https],
    ['SIP over TLS', config.sip.tlsPort, signaling.tls],
    ['TURN', config.turn.port, turn.udp],
    ['TURN over TCP', config.turn.port, turn.tcp],
    ['TURN over TLS', config.turn.tlsPort, turn.tls],
    ...workers.flatMap(({ i, ports }) => {
      const whose = several ? ` of worker ${i}` : '';
      const { muxPort, ngTcpPort = 0, ngWebSocketPort = 0 } = config.media;
      const ngPort = ngPortOf(config.media).port;
      return [
        [`media${whose}`, muxPort && muxPort + i, ports.mux],
        [`media control${whose}`, ngPort && ngPort + i, ports.ng],
        [`media control over TCP${whose}`, ngTcpPort && ngTcpPort + i, ports.ngTcp],
        [`media control over WebSocket${whose}`, ngWebSocketPort && ngWebSocketPort + i, ports.ngWebSocket],
      ] as const;
    }),
  ];
  return pairs
    .filter(([, wanted, real]) => wanted !== 0 && real !== undefined && real !== wanted)
    .map(([what, wanted, real]) => `port ${wanted} is taken by another program; ${what} uses ${real} instead`);
}
