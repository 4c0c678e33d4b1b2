import { CHANNEL_MAX, CHANNEL_MIN, decodeXorAddress, StunAttribute, type StunMessage } from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import type { Relay } from '../allocation/relay.ts';
import type { RequestContext, SignedRequest } from './request.ts';

/** RFC 8656 10.2: all of the addresses or none. */
export function createPermission(context: RequestContext, request: SignedRequest, allocation: Allocation): boolean {
  const { message, signature, nowMs } = request;
  const { replies } = context;
  const wanted = new Map<Relay, UdpEndpoint[]>();
  for (const value of message.all(StunAttribute.xorPeerAddress)) {
    const peer = peerAddress(context, message, value);
    if (!peer) return replies.error(request, 400, signature);
    const relay = allocation.relay(peer.family);
    if (!relay) return replies.error(request, 443, signature);
    const address = withoutPort(peer);
    if (!context.peers.mayPermit(address)) return replies.error(request, 403, signature);
    const addresses = wanted.get(relay) ?? [];
    if (!addresses.some((known) => known.equals(address))) addresses.push(address);
    wanted.set(relay, addresses);
  }
  if (wanted.size === 0) return replies.error(request, 400, signature);
  for (const [relay, addresses] of wanted) {
    if (!relay.hasPermissionRoom(addresses, nowMs)) return replies.error(request, 508, signature);
  }
  for (const [relay, addresses] of wanted) for (const address of addresses) relay.permit(address, nowMs);
  return replies.success(request, signature);
}

/** RFC 8656 12.2. */
export function channelBind(context: RequestContext, request: SignedRequest, allocation: Allocation): boolean {
  const { message, signature, nowMs } = request;
  const { replies } = context;
  const channelValue = message.attribute(StunAttribute.channelNumber);
  const peerValue = message.attribute(StunAttribute.xorPeerAddress);
  const peer = peerValue && peerAddress(context, message, peerValue);
  if (channelValue?.length !== 4 || !peer) return replies.error(request, 400, signature);
  const channel = (channelValue[0]! << 8) | channelValue[1]!;
  if (channel < CHANNEL_MIN || channel > CHANNEL_MAX) return replies.error(request, 400, signature);
  const relay = allocation.relay(peer.family);
  if (!relay) return replies.error(request, 443, signature);
  const verdict = context.peers.verdict(peer);
  if (verdict === 'forbidden') return replies.error(request, 403, signature);
  if (allocation.isBoundElsewhere(channel, relay, peer, nowMs)) return replies.error(request, 400, signature);
  const address = withoutPort(peer);
  const hasRoom = relay.hasPermissionRoom([address], nowMs) && allocation.hasChannelRoom(channel, nowMs);
  if (!hasRoom) return replies.error(request, 508, signature);
  // "… also installs or refreshes a permission for the IP address" (12.2)
  const permission = relay.permit(address, nowMs);
  allocation.bind(channel, { relay, endpoint: peer, permission, isOwn: verdict === 'own' }, nowMs);
  return replies.success(request, signature);
}

function peerAddress(context: RequestContext, message: StunMessage, value: Uint8Array): UdpEndpoint | undefined {
  const at = decodeXorAddress(value, message.transactionId);
  const peer = at && UdpEndpoint.from(at);
  return peer && context.toLocal(peer);
}

function withoutPort({ family, a, b, c, d }: UdpEndpoint): UdpEndpoint {
  return new UdpEndpoint(family, [a, b, c, d], 0);
}
