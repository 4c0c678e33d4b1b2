import { StunAttribute, type StunMessage, StunMethod, socketKey } from '@offhook/core';
import type { Allocation } from '../allocation/allocation.ts';
import { allocate } from './allocate.ts';
import { binding } from './binding.ts';
import { channelBind, createPermission } from './permissions.ts';
import { refresh } from './refresh.ts';
import { mayAnswer, type RequestContext, type SignedRequest, type TurnRequest } from './request.ts';

/** Comprehension-required attributes that are understood in requests with credentials; DONT-FRAGMENT where we can. */
const KNOWN: ReadonlySet<number> = new Set([
  StunAttribute.mappedAddress,
  StunAttribute.username,
  StunAttribute.userhash,
  StunAttribute.messageIntegrity,
  StunAttribute.messageIntegritySha256,
  StunAttribute.passwordAlgorithm,
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
]);
const KNOWN_WITH_DF: ReadonlySet<number> = new Set([...KNOWN, StunAttribute.dontFragment]);

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

/** The long-term credential mechanism (RFC 8489 9.2.4), then the method. */
function signed(context: RequestContext, request: TurnRequest): boolean {
  const { message, listener, batch, i } = request;
  const { replies } = context;
  let allocation = context.allocations.ofClient(listener, batch, i);
  if (allocation && allocation.owner.connection !== request.connection) {
    context.closeAll(allocation); // of a connection that is gone, whose port the client has taken again
    allocation = undefined;
  }
  const fault = faultOfAnybody(message, allocation);
  if (fault !== undefined) return mayAnswer(context, request) && replies.error(request, fault, undefined);
  const { authenticator } = context.rules();
  const client = socketKey(request.client.toSocketAddress());
  const who = authenticator.authenticate(message, client, context.wallMs(), allocation?.owner);
  if (who.kind === 'refused') {
    // who has shown the allocation's key is no stranger
    if (!who.isOwner && !mayAnswer(context, request)) return false;
    if (who.code === 400) return replies.error(request, 400, undefined);
    const { realm, passwordAlgorithms, nonces } = authenticator;
    const nonce = nonces.make(client, context.wallMs());
    return replies.challenge(request, who.code, { realm, nonce, passwordAlgorithms });
  }
  const { username, signature } = who;
  if (!context.mayAsk(username, allocation, request.nowMs)) return false;
  const unknown = message.unknownRequired(context.isDontFragment ? KNOWN_WITH_DF : KNOWN);
  if (unknown.length > 0) return replies.unknownAttributes(request, unknown, signature);
  const authentic: SignedRequest = { ...request, username, signature, allocation };
  if (message.method === StunMethod.allocate) return allocate(context, authentic);
  // RFC 8656 5: the request has to come on the 5-tuple of an allocation, with the credentials that made it
  if (!allocation) return replies.error(request, 437, signature);
  if (allocation.owner.username !== username) return replies.error(request, 441, signature);
  if (!allocation.isOpen) return false; // it has not been answered yet, so nobody knows of it
  switch (message.method) {
    case StunMethod.refresh:
      return refresh(context, authentic, allocation);
    case StunMethod.createPermission:
      return createPermission(context, authentic, allocation);
    default:
      return channelBind(context, authentic, allocation);
  }
}

/**
 * What is wrong whoever sent it, so that the smallest answer will do: a challenge is several times as long, and its source may
 * be forged. Such are an Allocate without a transport, and what only makes sense with an allocation when there is none and
 * nobody has signed it; clients sign these from the first one on, since they have been challenged by Allocate.
 */
function faultOfAnybody(message: StunMessage, allocation: Allocation | undefined): 400 | 437 | undefined {
  if (message.method === StunMethod.allocate) return message.has(StunAttribute.requestedTransport) ? undefined : 400;
  return allocation || message.hasIntegrity || message.hasIntegritySha256 ? undefined : 437;
}
