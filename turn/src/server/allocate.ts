import { type SocketAddress, StunAttribute, type StunMessage } from '@offhook/core';
import type { PortPool } from '../allocation/port-pool.ts';
import type { UserUse } from '../allocation/user-use.ts';
import { quotaUser } from '../auth/rest-credentials.ts';
import { DEFAULT_LIFETIME_S, MAX_LIFETIME_S } from '../limits.ts';
import type { Grant, RequestContext, SignedRequest } from './request.ts';

const UDP = 17;
/** ADDITIONAL-ADDRESS-FAMILY as a draft had it and coturn's clients of before 4.8 send it. */
const OLD_ADDITIONAL_ADDRESS_FAMILY = 0x8032;

/** What an Allocate asks for, once it is well-formed. */
interface Wishes {
  readonly families: readonly (4 | 6)[];
  readonly evenPort: 'no' | 'even' | 'pair';
  readonly token: Uint8Array | undefined;
}

/** A port that is taken for a family of the request. */
interface Taken {
  readonly pool: PortPool;
  readonly port: number;
}

/** RFC 8656 7.2; step 1, authentication, is done. False: it will be answered when its sockets are open. */
export function allocate(context: RequestContext, request: SignedRequest): boolean {
  const { message, signature, allocation, nowMs } = request;
  const { replies, allocations } = context;
  // Step 2: "checks if the 5-tuple is currently in use by an existing allocation … 437", but not for a retransmission
  if (allocation) {
    const isSame = allocation.allocateId.every((byte, i) => byte === message.transactionId[i]);
    if (!isSame) return replies.error(request, 437, signature);
    return allocation.allocateReply ? replies.repeat(allocation.allocateReply) : false;
  }
  // Step 3: "REQUESTED-TRANSPORT … missing or malformed … 400; not UDP … 442"
  const transport = message.attribute(StunAttribute.requestedTransport);
  if (transport?.length !== 4) return replies.error(request, 400, signature);
  if (transport[0] !== UDP) return replies.error(request, 442, signature);
  // Step 4, DONT-FRAGMENT, is one of the unknown attributes where it can't be had. Steps 5 to 9 read what is wished.
  const wishes = readWishes(message);
  if (!wishes) return replies.error(request, 400, signature);
  const use = allocations.use(quotaUser(request.username));
  const { families, token, evenPort } = wishes;
  const pools = families.flatMap((family) => context.poolFor(request.listener, family) ?? []);
  if (!token && pools.length === 0) return replies.error(request, 440, signature);
  // Step 10: "… has reached its allocation quota … 486"
  const ports = token ? 1 : pools.length + (evenPort === 'pair' ? 1 : 0);
  if (allocations.isQuotaReached(use, ports, token)) return replies.error(request, 486, signature);
  // Step 11: "… redirect the client to a different server … 300 (Try Alternate)"
  const redirection = context.redirection();
  if (redirection !== 'none') return redirect(context, request, redirection);
  const taken = token ? redeem(context, token, use) : takePorts(pools, evenPort);
  const [first] = taken;
  if (!first) return replies.error(request, 508, signature);
  const made = allocations.add(
    {
      listener: request.listener,
      client: request.client,
      connection: request.connection,
      username: request.username,
      signature,
      use,
    },
    message.transactionId,
  );
  made.hasFingerprint = message.has(StunAttribute.fingerprint);
  for (const { pool, port } of taken) allocations.addRelay(made, pool, port);
  const reserved = evenPort === 'pair' ? reserve(context, first, use, nowMs) : undefined;
  context.open(made, {
    lifetimeS: lifetimeOf(message),
    token: reserved,
    port: token ? 'none' : reserved ? 'pair' : evenPort === 'no' ? 'any' : 'even',
    refused: refusedFamily(families, pools, taken),
  });
  return false;
}

/** "the server … between the default and the maximum" (RFC 8656 7.2, 8.2). */
export function lifetimeOf(message: StunMessage): number {
  const wished = message.u32(StunAttribute.lifetime) ?? DEFAULT_LIFETIME_S;
  return Math.min(Math.max(wished, DEFAULT_LIFETIME_S), MAX_LIFETIME_S);
}

/** 4, 6, or undefined when it is neither (RFC 8656 18.6). */
export function familyOf(value: Uint8Array): 4 | 6 | 'other' | undefined {
  if (value.length !== 4) return undefined;
  return value[0] === 1 ? 4 : value[0] === 2 ? 6 : 'other';
}

/** Undefined: 400. */
function readWishes(message: StunMessage): Wishes | undefined {
  const token = message.attribute(StunAttribute.reservationToken);
  const even = message.attribute(StunAttribute.evenPort);
  const requested = message.attribute(StunAttribute.requestedAddressFamily);
  const additional =
    message.attribute(StunAttribute.additionalAddressFamily) ?? message.attribute(OLD_ADDITIONAL_ADDRESS_FAMILY);
  const lifetime = message.attribute(StunAttribute.lifetime);
  if (lifetime && lifetime.length !== 4) return undefined;
  if (even && even.length !== 1) return undefined;
  const isPair = even !== undefined && (even[0]! & 0x80) !== 0;
  // Step 5: RESERVATION-TOKEN with EVEN-PORT, REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY
  if (token && (token.length !== 8 || even || requested || additional)) return undefined;
  // Step 6: "both REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY"
  if (requested && additional) return undefined;
  // Step 8: EVEN-PORT "with the R bit set to 1" and ADDITIONAL-ADDRESS-FAMILY; step 9: only IPv6 can be additional
  if (additional && (isPair || familyOf(additional) !== 6)) return undefined;
  const evenPort = isPair ? 'pair' : even ? 'even' : 'no';
  if (additional) return { families: [4, 6], evenPort, token };
  // "If the REQUESTED-ADDRESS-FAMILY attribute is absent … IPv4" (step 7)
  const family = requested ? familyOf(requested) : 4;
  if (family === undefined) return undefined;
  return { families: family === 'other' ? [] : [family], evenPort, token };
}

function redirect(
  { replies }: RequestContext,
  request: SignedRequest,
  redirection: 'draining' | SocketAddress,
): boolean {
  // "The IP address family MUST be identical to that of the source IP address of the request" (RFC 5389 15.11)
  const fits = redirection !== 'draining' && redirection.address.includes(':') === (request.client.family === 6);
  return fits
    ? replies.tryAlternate(request, redirection, request.signature)
    : replies.error(request, 508, request.signature);
}

function redeem({ allocations }: RequestContext, token: Uint8Array, use: UserUse): readonly Taken[] {
  const reserved = allocations.redeem(token, use);
  return reserved ? [reserved] : [];
}

/** A port of each pool that has one left. */
function takePorts(pools: readonly PortPool[], evenPort: Wishes['evenPort']): readonly Taken[] {
  const kind = evenPort === 'pair' ? 'even-with-next' : evenPort === 'even' ? 'even' : 'any';
  return pools.flatMap((pool) => {
    const port = pool.take(kind);
    return port === undefined ? [] : [{ pool, port }];
  });
}

/** The token of the odd port; without one the port is given back, and the client gets only the even one. */
function reserve(
  { allocations }: RequestContext,
  { pool, port }: Taken,
  use: UserUse,
  nowMs: number,
): Uint8Array | undefined {
  const token = allocations.reserve(pool, port + 1, use, nowMs);
  if (!token) pool.give(port + 1);
  return token;
}

/** Of two families that were asked for, the one that can't be had: ADDRESS-ERROR-CODE says why (step 9). */
function refusedFamily(
  families: readonly (4 | 6)[],
  pools: readonly PortPool[],
  taken: readonly Taken[],
): Grant['refused'] {
  if (families.length < 2 || taken.length === families.length) return undefined;
  const family = families.find((one) => !taken.some(({ pool }) => pool.family === one))!;
  return { family, code: pools.some((pool) => pool.family === family) ? 508 : 440 };
}
