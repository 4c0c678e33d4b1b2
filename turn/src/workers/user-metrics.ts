import { series } from '@offhook/core';
import type { UserFigures } from '../allocation/user-use.ts';

/** Users that are told apart in metrics, those with most traffic: a series for each user ever would fill any database. */
const MAX_USERS = 100;

/** Figures of users by Prometheus name. */
export function userMetrics(users: readonly UserFigures[]): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const one of users.slice(0, MAX_USERS)) {
    const of = { user: one.user };
    metrics[series('offhook_turn_user_allocations', of)] = one.allocations;
    metrics[series('offhook_turn_user_packets_to_peers_total', of)] = one.packetsToPeers;
    metrics[series('offhook_turn_user_bytes_to_peers_total', of)] = one.bytesToPeers;
    metrics[series('offhook_turn_user_packets_to_clients_total', of)] = one.packetsToClient;
    metrics[series('offhook_turn_user_bytes_to_clients_total', of)] = one.bytesToClient;
  }
  return metrics;
}
