import { TRANSPORT_LIMITS, type TransportLimits } from './hub.ts';

/** Listeners, relay sockets, databases, the admin socket and files that are read: what else a process has open. */
const RESERVE = 256;

/**
 * The limits of connections, so that descriptors suffice for all of them: what has no descriptor can't even be refused.
 * Of what the process may have open, less a reserve, seven tenths are SIP's (two of these for strangers), a quarter HTTP's,
 * and four hundredths are for connections to other servers.
 */
export function limitsFor(openFiles: number | undefined, limits: TransportLimits = TRANSPORT_LIMITS): TransportLimits {
  if (openFiles === undefined) return limits;
  const usable = Math.max(openFiles - RESERVE, RESERVE / 2);
  const share = (most: number, part: number) => Math.min(most, Math.floor(usable * part));
  return {
    ...limits,
    connections: share(limits.connections, 0.7),
    connectionsPerLoopbackAddress: share(limits.connectionsPerLoopbackAddress, 0.7),
    strangers: share(limits.strangers, 0.2),
    outgoing: share(limits.outgoing, 0.04),
    http: share(limits.http, 0.25),
  };
}
