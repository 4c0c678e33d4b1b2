import {
  CHANNEL_MAX,
  CHANNEL_MIN,
  type Crypto,
  decodeXorAddress,
  StunAttribute,
  type StunMessage,
  StunMethod,
  socketKey,
} from '@offhook/core';
import { type PacketBatch, UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import type { AllocationTable } from '../allocation/allocation-table.ts';
import type { PortPool } from '../allocation/port-pool.ts';
import type { Nonces } from '../auth/nonce.ts';
import { quotaUser, type RestCredentials } from '../auth/rest-credentials.ts';
import { DEFAULT_LIFETIME_S, MAX_LIFETIME_S } from '../limits.ts';
import type { PeerPolicy } from '../peers/peer-policy.ts';
import type { Replies } from './replies.ts';
import type { ReplyLimit } from './reply-limit.ts';

/** One request on its way through the checks. */
export interface TurnRequest {
  readonly message: StunMessage;
  readonly listener: number;
  readonly batch: PacketBatch;
  readonly i: number;
  readonly client: UdpEndpoint;
  readonly nowMs: number;
}

/** A request that was signed with a key we know. */
interface SignedRequest extends TurnRequest {
  readonly username: string;
  readonly key: Uint8Array;
  readonly allocation: Allocation | undefined;
}

/** What an Allocate was granted besides its socket. */
export interface AllocateWishes {
  readonly lifetimeS: number;
  /** The token of the reserved odd port. */
  readonly reservation: Uint8Array | undefined;
  /** Which port will do instead, when the one taken is in use. */
  readonly port: 'any' | 'even';
}

/** What the handlers need of the server. */
export interface RequestContext {
  readonly allocations: AllocationTable;
  readonly policy: PeerPolicy;
  readonly credentials: RestCredentials;
  readonly nonces: Nonces;
  readonly limit: ReplyLimit;
  readonly replies: Replies;
  readonly crypto: Crypto;
  readonly wallMs: () => number;
  /** Refuse new allocations. */
  readonly isDraining: () => boolean;
  /** Which relay address serves a client of that listener, by its wishes. */
  readonly poolFor: (listener: number, family: 4 | 6) => PortPool | undefined;
  /** The allocation's socket has to be opened; it is answered when that is done. */
  readonly open: (allocation: Allocation, wishes: AllocateWishes) => void;
  readonly close: (allocation: Allocation) => void;
  readonly onLimited: () => void;
}

/** Comprehension-required attributes that are understood; DONT-FRAGMENT isn't: a socket of ours can't set it (RFC 8656 7.2 step 4). */
const KNOWN: ReadonlySet<number> = new Set([
  StunAttribute.mappedAddress,
  StunAttribute.username,
  StunAttribute.messageIntegrity,
  StunAttribute.messageIntegritySha256,
  StunAttribute.errorCode,
  StunAttribute.unknownAttributes,
  StunAttribute.channelNumber,
  StunAttribute.lifetime,
  StunAttribute.xorPeerAddress,
  StunAttribute.data,
  StunAttribute.realm,
  StunAttribute.nonce,
  StunAttribute.xorRelayedAddress,
  StunAttribute.requestedAddressFamily,
  StunAttribute.evenPort,
  StunAttribute.requestedTransport,
  StunAttribute.reservationToken,
  StunAttribute.xorMappedAddress,
  StunAttribute.priority,
  StunAttribute.useCandidate,
]);

const UDP = 17;

/** Handles one request; whether `context.replies` now holds an answer. */
export function handleRequest(context: RequestContext, request: TurnRequest): boolean {
  const { message } = request;
  if (message.has(StunAttribute.fingerprint) && !message.verifyFingerprint()) return false; // RFC 8489 6.3
  switch (message.method) {
    case StunMethod.binding:
      return binding(context, request);
    case StunMethod.allocate:
    case StunMethod.refresh:
    case StunMethod.createPermission:
    case StunMethod.channelBind:
      return signed(context, request);
    default:
      return false; // RFC 8489 6.3: a method that isn't supported is discarded
  }
}

function binding(context: RequestContext, request: TurnRequest): boolean {
  if (!mayAnswer(context, request)) return false;
  const unknown = request.message.unknownRequired(KNOWN);
  if (unknown.length > 0) return context.replies.unknownAttributes(request, unknown, undefined);
  return context.replies.binding(request);
}

/** The long-term credential mechanism (RFC 8489 9.2.4), then the method. */
function signed(context: RequestContext, request: TurnRequest): boolean {
  const { message, nowMs } = request;
  const { replies } = context;
  // Malformed for sure, so the smallest answer will do.
  const noTransport = message.method === StunMethod.allocate && !message.has(StunAttribute.requestedTransport);
  if (noTransport) return mayAnswer(context, request) && replies.error(request, 400, undefined);
  // "If the message does not contain a MESSAGE-INTEGRITY … the server MUST generate an error response with … 401"
  if (!message.hasIntegrity) return challenge(context, request, 401);
  const username = message.text(StunAttribute.username);
  const nonce = message.text(StunAttribute.nonce);
  // "If the message contains MESSAGE-INTEGRITY but is missing USERNAME, REALM or NONCE … 400"
  if (username === undefined || nonce === undefined || !message.has(StunAttribute.realm)) {
    return mayAnswer(context, request) && replies.error(request, 400, undefined);
  }
  // "If the NONCE is no longer valid … 438 (Stale Nonce)"
  if (!context.nonces.check(nonce, clientText(request), nowMs)) return challenge(context, request, 438);
  const allocation = context.allocations.ofClient(request.listener, request.batch, request.i);
  const key = signingKey(context, message, username, allocation);
  // "If the USERNAME is not valid … 401", "if the message integrity does not match … 401"
  if (!key) return challenge(context, request, 401);
  const unknown = message.unknownRequired(KNOWN);
  if (unknown.length > 0) return replies.unknownAttributes(request, unknown, key);
  const authentic: SignedRequest = { ...request, username, key, allocation };
  if (message.method === StunMethod.allocate) return allocate(context, authentic);
  // RFC 8656 8.2, 10.2, 12.2: an allocation has to exist and belong to this user.
  if (!allocation?.relayed) return allocation ? false : replies.error(request, 437, key);
  if (allocation.owner.username !== username) return replies.error(request, 441, key);
  switch (message.method) {
    case StunMethod.refresh:
      return refresh(context, authentic, allocation);
    case StunMethod.createPermission:
      return createPermission(context, authentic, allocation);
    default:
      return channelBind(context, authentic, allocation);
  }
}

/** The key the message was signed with, or undefined. The user of an allocation keeps its key beyond its expiry. */
function signingKey(
  context: RequestContext,
  message: StunMessage,
  username: string,
  allocation: Allocation | undefined,
): Uint8Array | undefined {
  const keys =
    allocation?.owner.username === username
      ? [allocation.owner.key]
      : context.credentials.keys(username, context.wallMs());
  return keys.find((key) => message.verifyIntegrity(key, context.crypto));
}

function challenge(context: RequestContext, request: TurnRequest, code: 401 | 438): boolean {
  if (!mayAnswer(context, request)) return false;
  return context.replies.challenge(request, code, context.nonces.make(clientText(request), request.nowMs));
}

function mayAnswer(context: RequestContext, request: TurnRequest): boolean {
  if (context.limit.take(request.batch, request.i, request.nowMs)) return true;
  context.onLimited();
  return false;
}

function clientText(request: TurnRequest): string {
  return socketKey(request.client.toSocketAddress());
}

/** RFC 8656 7.2. */
function allocate(context: RequestContext, request: SignedRequest): boolean {
  const { message, key, allocation } = request;
  const { replies, allocations } = context;
  // Step 2: "checks if the 5-tuple is currently in use by an existing allocation. If yes … 437", unless it is the
  // retransmission of the request that made it.
  if (allocation) {
    const again = allocation.allocateId.every((byte, i) => byte === message.transactionId[i]);
    if (!again) return replies.error(request, 437, key);
    return allocation.allocateReply ? replies.repeat(allocation.allocateReply) : false;
  }
  // Step 3: REQUESTED-TRANSPORT has to be UDP.
  if (message.attribute(StunAttribute.requestedTransport)![0] !== UDP) return replies.error(request, 442, key);
  // Step 5: RESERVATION-TOKEN excludes EVEN-PORT and REQUESTED-ADDRESS-FAMILY.
  const token = message.attribute(StunAttribute.reservationToken);
  const evenPort = message.attribute(StunAttribute.evenPort);
  const wishedFamily = message.attribute(StunAttribute.requestedAddressFamily);
  if (token && (token.length !== 8 || evenPort || wishedFamily)) return replies.error(request, 400, key);
  if (evenPort && evenPort.length !== 1) return replies.error(request, 400, key);
  // Step 6: "If the server does not support the address family requested … 440"
  const code = wishedFamily === undefined ? 1 : wishedFamily[0];
  const pool =
    code === 1 ? context.poolFor(request.listener, 4) : code === 2 ? context.poolFor(request.listener, 6) : 0;
  if (!pool && !token) return replies.error(request, 440, key);
  // Step 9: quota; draining counts as having no capacity.
  const user = quotaUser(request.username);
  const pair = evenPort !== undefined && (evenPort[0]! & 0x80) !== 0;
  const redeemed = token && allocations.reserved(token);
  if (allocations.isQuotaReached(user, pair ? 2 : 1, redeemed)) return replies.error(request, 486, key);
  if (context.isDraining()) return replies.error(request, 508, key);
  // Steps 7 and 8: the port.
  const reserved = token && allocations.redeem(token);
  const from = token ? reserved?.pool : pool || undefined;
  const port = token ? reserved?.port : from?.take(pair ? 'even-with-next' : evenPort ? 'even' : 'any');
  if (!from || port === undefined) return replies.error(request, 508, key);
  const { listener, client, username } = request;
  const made = allocations.add({ owner: { listener, client, username, user, key }, pool: from, port });
  made.allocateId.set(message.transactionId);
  const wished = message.u32(StunAttribute.lifetime) ?? DEFAULT_LIFETIME_S;
  context.open(made, {
    lifetimeS: Math.min(Math.max(wished, DEFAULT_LIFETIME_S), MAX_LIFETIME_S),
    reservation: pair ? allocations.reserve({ pool: from, port: port + 1, user }, request.nowMs) : undefined,
    port: evenPort ? 'even' : 'any',
  });
  return false;
}

/** RFC 8656 8.2. */
function refresh(context: RequestContext, request: SignedRequest, allocation: Allocation): boolean {
  const { message, key, nowMs } = request;
  const family = message.attribute(StunAttribute.requestedAddressFamily);
  if (family && family[0] !== (allocation.family === 4 ? 1 : 2)) return context.replies.error(request, 443, key);
  const wished = message.u32(StunAttribute.lifetime) ?? DEFAULT_LIFETIME_S;
  if (wished === 0) {
    context.close(allocation);
    return context.replies.refreshed(request, 0, key);
  }
  const lifetimeS = Math.min(Math.max(wished, DEFAULT_LIFETIME_S), MAX_LIFETIME_S);
  context.allocations.extend(allocation, nowMs + lifetimeS * 1000);
  return context.replies.refreshed(request, lifetimeS, key);
}

/** RFC 8656 10.2: all of the addresses or none. */
function createPermission(context: RequestContext, request: SignedRequest, allocation: Allocation): boolean {
  const { message, key, nowMs } = request;
  const { replies } = context;
  const addresses: UdpEndpoint[] = [];
  for (const value of message.all(StunAttribute.xorPeerAddress)) {
    const address = peerAddress(message, value);
    if (!address) return replies.error(request, 400, key);
    if (address.family !== allocation.family) return replies.error(request, 443, key);
    if (!mayPermit(context, address)) return replies.error(request, 403, key);
    addresses.push(withoutPort(address));
  }
  if (addresses.length === 0) return replies.error(request, 400, key);
  if (!allocation.hasPermissionRoom(addresses, nowMs)) return replies.error(request, 508, key);
  for (const address of addresses) allocation.permit(address, nowMs);
  return replies.success(request, key);
}

/** RFC 8656 12.2. */
function channelBind(context: RequestContext, request: SignedRequest, allocation: Allocation): boolean {
  const { message, key, nowMs } = request;
  const { replies } = context;
  const channelValue = message.attribute(StunAttribute.channelNumber);
  const peerValue = message.attribute(StunAttribute.xorPeerAddress);
  const peer = peerValue && peerAddress(message, peerValue);
  if (channelValue?.length !== 4 || !peer) return replies.error(request, 400, key);
  const channel = (channelValue[0]! << 8) | channelValue[1]!;
  if (channel < CHANNEL_MIN || channel > CHANNEL_MAX) return replies.error(request, 400, key);
  if (peer.family !== allocation.family) return replies.error(request, 443, key);
  const allowed = context.policy.allowsEndpoint(peer) || context.allocations.isOwnRelayEndpoint(peer);
  if (!allowed) return replies.error(request, 403, key);
  if (allocation.isBoundElsewhere(channel, peer, nowMs)) return replies.error(request, 400, key);
  const address = withoutPort(peer);
  const room = allocation.hasPermissionRoom([address], nowMs) && allocation.hasChannelRoom(channel, nowMs);
  if (!room) return replies.error(request, 508, key);
  allocation.bind(channel, peer, allocation.permit(address, nowMs), nowMs);
  return replies.success(request, key);
}

function mayPermit(context: RequestContext, address: UdpEndpoint): boolean {
  return context.policy.allowsAddress(address) || context.allocations.isRelayAddress(address);
}

function peerAddress(message: StunMessage, value: Uint8Array): UdpEndpoint | undefined {
  const at = decodeXorAddress(value, message.transactionId);
  return at && UdpEndpoint.from(at);
}

function withoutPort(peer: UdpEndpoint): UdpEndpoint {
  return new UdpEndpoint(peer.family, [peer.a, peer.b, peer.c, peer.d], 0);
}
