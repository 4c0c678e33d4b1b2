import type { SocketAddress } from '@offhook/core';

export type SipTransportName = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

/**
 * The path a message came in on and its answers go back on: one TCP, TLS or WebSocket connection, or one remote
 * address as seen by one UDP listener (RFC 5626 3.2). Objects are compared by identity.
 */
export interface Flow {
  readonly id: number;
  readonly transport: SipTransportName;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** The account whose session the WebSocket upgrade carried. Requests on such a flow are already authenticated. */
  readonly account?: string;
  /** Set once a request on it was from an account, or belonged to a call of ours: its connection may stay. */
  isKnown?: boolean;
  /** We have opened this connection: nobody can connect to its local port. */
  readonly isOutgoing?: true;
}

/** Whether the transport repeats lost packets itself, so that the transaction layer need not. */
export function isReliable(flow: Flow): boolean {
  return flow.transport !== 'udp';
}
