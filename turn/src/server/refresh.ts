import { StunAttribute } from '@offhook/core';
import type { Allocation } from '../allocation/allocation.ts';
import { familyOf, lifetimeOf } from './allocate.ts';
import type { RequestContext, SignedRequest } from './request.ts';

/** RFC 8656 8.2: one family of two when REQUESTED-ADDRESS-FAMILY names it, else all. */
export function refresh(context: RequestContext, request: SignedRequest, allocation: Allocation): boolean {
  const { message, signature, nowMs } = request;
  const { replies } = context;
  const wished = message.attribute(StunAttribute.requestedAddressFamily);
  const family = wished && familyOf(wished);
  const lifetime = message.attribute(StunAttribute.lifetime);
  if ((wished && family === undefined) || (lifetime && lifetime.length !== 4)) {
    return replies.error(request, 400, signature);
  }
  // "does not match the address family of the allocation … 443 (Peer Address Family Mismatch)"
  const relays = allocation.relays.filter((relay) => family === undefined || relay.family === family);
  if (relays.length === 0) return replies.error(request, 443, signature);
  // "If the desired lifetime is zero, … the allocation is deleted"
  if (message.u32(StunAttribute.lifetime) === 0) {
    for (const relay of relays) context.closeRelay(relay);
    return replies.refreshed(request, 0, signature);
  }
  const lifetimeS = lifetimeOf(message);
  for (const relay of relays) context.allocations.extend(relay, nowMs + lifetimeS * 1000);
  return replies.refreshed(request, lifetimeS, signature);
}
