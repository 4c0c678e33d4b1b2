import { monotonicMs, nodeCrypto, type RunningPart } from '@offhook/core/node';
import type { TurnConfig } from './config.ts';
import { turnConfigProblems } from './config-problems.ts';
import { TurnShell } from './shell/shell.ts';

/** Starts the TURN part: opens its listeners and serves until `stop`. Rejects with everything that is wrong, in words. */
export async function startTurn(config: TurnConfig): Promise<RunningPart> {
  const problems = turnConfigProblems(config);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const shell = await TurnShell.open({ ...config, listen: config.listen.udp, crypto: nodeCrypto });
  const { server, listeners } = shell;
  return {
    ports: { udp: listeners[0]!.local.port },
    details: () => ({
      allocations: server.allocations,
      users: server.users,
      relayPortsTaken: server.portsTaken,
      listeners: listeners.map((port) => `${port.local.address} port ${port.local.port} (${port.implementation})`),
    }),
    metrics: () => turnMetrics(shell),
    verbs: { allocations: () => server.describe(monotonicMs()) },
    drain: () => server.drain(),
    stop: async () => shell.close(),
  };
}

/** Plain numbers by Prometheus name. */
function turnMetrics(shell: TurnShell): Record<string, number> {
  const { server } = shell;
  const { stats } = server;
  const metrics: Record<string, number> = {
    offhook_turn_allocations: server.allocations,
    offhook_turn_users: server.users,
    offhook_turn_relay_sockets: shell.relays,
    offhook_turn_relay_ports_taken: server.portsTaken,
    offhook_turn_bindings_total: stats.bindings,
    offhook_turn_allocations_made_total: stats.allocationsMade,
    offhook_turn_allocations_ended_total: stats.allocationsEnded,
    offhook_turn_allocations_expired_total: stats.allocationsExpired,
    offhook_turn_packets_to_peers_total: stats.packetsToPeers,
    offhook_turn_bytes_to_peers_total: stats.bytesToPeers,
    offhook_turn_packets_to_clients_total: stats.packetsToClients,
    offhook_turn_bytes_to_clients_total: stats.bytesToClients,
    offhook_turn_dropped_malformed_total: stats.droppedMalformed,
    offhook_turn_dropped_limited_total: stats.droppedLimited,
    offhook_turn_dropped_from_clients_total: stats.droppedFromClients,
    offhook_turn_dropped_from_peers_total: stats.droppedFromPeers,
    offhook_turn_send_errors_total: shell.sendErrors,
  };
  for (const [code, count] of stats.errors) metrics[`offhook_turn_errors_total{code="${code}"}`] = count;
  return metrics;
}
