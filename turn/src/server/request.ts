import type { Crypto, SocketAddress, StunMessage } from '@offhook/core';
import type { PacketBatch, UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import type { AllocationTable } from '../allocation/allocation-table.ts';
import type { PortPool } from '../allocation/port-pool.ts';
import type { Relay } from '../allocation/relay.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Signature } from '../auth/signature.ts';
import type { TurnLimits } from '../limits.ts';
import type { PeerPolicy } from '../peers/peer-policy.ts';
import type { NatDiscovery } from './nat-discovery.ts';
import type { PeerVerdicts } from './peer-verdicts.ts';
import type { Replies } from './replies.ts';
import type { ReplyLimit } from './reply-limit.ts';

/** One request on its way through the checks. */
export interface TurnRequest {
  readonly message: StunMessage;
  readonly listener: number;
  /** The connection's number, or -1 over UDP. */
  readonly connection: number;
  readonly batch: PacketBatch;
  readonly i: number;
  readonly client: UdpEndpoint;
  readonly nowMs: number;
}

/** A request that was signed with a key we know. */
export interface SignedRequest extends TurnRequest {
  readonly username: string;
  readonly signature: Signature;
  readonly allocation: Allocation | undefined;
}

/** What may change while the server runs. */
export interface Rules {
  readonly authenticator: Authenticator;
  readonly policy: PeerPolicy;
  readonly limits: TurnLimits;
  readonly alternateServer: SocketAddress | undefined;
}

/** What an Allocate was granted besides its sockets. */
export interface Grant {
  readonly lifetimeS: number;
  /** The token of the reserved odd port. */
  readonly token: Uint8Array | undefined;
  /** Which port will do instead, when the one taken is in use; `none`: it has to be that one. */
  readonly port: 'any' | 'even' | 'pair' | 'none';
  /** The family that could not be had of two, and why. */
  readonly refused: { readonly family: 4 | 6; readonly code: number } | undefined;
}

/** What the handlers need of the server. */
export interface RequestContext {
  readonly allocations: AllocationTable;
  readonly peers: PeerVerdicts;
  readonly rules: () => Rules;
  /** Of Binding answers; of challenges and errors. Connections have none: their source is no forgery. */
  readonly bindingLimit: ReplyLimit;
  readonly limit: ReplyLimit;
  readonly replies: Replies;
  readonly discovery: NatDiscovery | undefined;
  /** Relay sockets set the DF bit, so DONT-FRAGMENT can be granted (RFC 8656 15). */
  readonly isDontFragment: boolean;
  readonly crypto: Crypto;
  readonly wallMs: () => number;
  /** Where new clients are sent; `draining`: nowhere. */
  readonly redirection: () => 'none' | 'draining' | SocketAddress;
  /** Which relay address serves a client of that listener. */
  readonly poolFor: (listener: number, family: 4 | 6) => PortPool | undefined;
  /** A peer by the address that our sockets see it at: other relayed addresses of ours behind NAT. */
  readonly toLocal: (peer: UdpEndpoint) => UdpEndpoint;
  /** The allocation's sockets have to be opened; it is answered when that is done. */
  readonly open: (allocation: Allocation, grant: Grant) => void;
  readonly closeRelay: (relay: Relay) => void;
  readonly closeAll: (allocation: Allocation) => void;
  /** The address of a listener. */
  readonly listenerAt: (listener: number) => SocketAddress;
  /** Sends what `replies` holds from another listener, or to another port. */
  readonly sendFrom: (listener: number, to: UdpEndpoint) => void;
  /** Counts a signed request of a user; false when there have been too many within this second. */
  readonly mayAsk: (username: string, allocation: Allocation | undefined, nowMs: number) => boolean;
  readonly onLimited: () => void;
}

/** Takes one of the answers that the request's source may have without being known. */
export function mayAnswer(context: RequestContext, request: TurnRequest, limit = context.limit): boolean {
  if (request.connection >= 0 || limit.take(request.batch, request.i, request.nowMs)) return true;
  context.onLimited();
  return false;
}
