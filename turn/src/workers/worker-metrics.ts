import type { TurnShell } from '../shell/shell.ts';

/** Plain numbers of one thread by Prometheus name; those of several threads are added up. */
export function workerMetrics(shell: TurnShell): Record<string, number> {
  const { server, connections } = shell;
  const { stats } = server;
  const metrics: Record<string, number> = {
    offhook_turn_allocations: server.allocations,
    offhook_turn_users: server.users,
    offhook_turn_relay_sockets: shell.relays,
    offhook_turn_connections: connections.size,
    offhook_turn_bindings_total: stats.bindings,
    offhook_turn_allocations_made_total: stats.allocationsMade,
    offhook_turn_allocations_ended_total: stats.allocationsEnded,
    offhook_turn_allocations_expired_total: stats.allocationsExpired,
    offhook_turn_packets_to_peers_total: stats.packetsToPeers,
    offhook_turn_bytes_to_peers_total: stats.bytesToPeers,
    offhook_turn_packets_to_clients_total: stats.packetsToClients,
    offhook_turn_bytes_to_clients_total: stats.bytesToClients,
    offhook_turn_icmp_total: stats.icmp,
    offhook_turn_dropped_malformed_total: stats.droppedMalformed,
    offhook_turn_dropped_limited_total: stats.droppedLimited,
    offhook_turn_dropped_from_clients_total: stats.droppedFromClients,
    offhook_turn_dropped_from_peers_total: stats.droppedFromPeers,
    offhook_turn_dropped_rate_total: stats.droppedByRate,
    offhook_turn_dropped_slow_total: connections.dropped,
    offhook_turn_dropped_oversize_total: connections.oversize + shell.oversize,
    offhook_turn_connections_refused_total: connections.refused,
    offhook_turn_connections_cut_off_total: connections.cutOff,
    offhook_turn_send_errors_total: shell.sendErrors,
  };
  for (const [code, count] of stats.errors) metrics[`offhook_turn_errors_total{code="${code}"}`] = count;
  return metrics;
}
