import { StunAttribute } from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';
import type { NatDiscovery } from './nat-discovery.ts';
import { mayAnswer, type RequestContext, type TurnRequest } from './request.ts';

/** What a Binding request may hold besides: signed ones and ICE's are answered like any other. */
const KNOWN: ReadonlySet<number> = new Set([
  StunAttribute.mappedAddress,
  StunAttribute.username,
  StunAttribute.messageIntegrity,
  StunAttribute.messageIntegritySha256,
  StunAttribute.realm,
  StunAttribute.nonce,
  StunAttribute.passwordAlgorithm,
  StunAttribute.userhash,
  StunAttribute.xorMappedAddress,
  StunAttribute.priority,
  StunAttribute.useCandidate,
]);
/** Header, four addresses, and the head of PADDING, bytes. */
const ANSWER_HEAD = { 4: 20 + 4 * 12 + 4, 6: 20 + 4 * 24 + 4 } as const;
const KNOWN_IN_DISCOVERY: ReadonlySet<number> = new Set([
  ...KNOWN,
  StunAttribute.changeRequest,
  StunAttribute.padding,
  StunAttribute.responsePort,
]);

/** RFC 8489 6.3.1 and, where two addresses are served, RFC 5780 6.1. */
export function binding(context: RequestContext, request: TurnRequest): boolean {
  if (!mayAnswer(context, request, context.bindingLimit)) return false;
  const { message } = request;
  const { replies, discovery } = context;
  const discovers = request.connection < 0 && discovery?.serves(request.listener) ? discovery : undefined;
  const unknown = message.unknownRequired(discovers ? KNOWN_IN_DISCOVERY : KNOWN);
  if (unknown.length > 0) return replies.unknownAttributes(request, unknown, undefined);
  return discovers ? discover(context, request, discovers) : replies.binding(request);
}

function discover(context: RequestContext, request: TurnRequest, discovery: NatDiscovery): boolean {
  const { message, listener, client } = request;
  const { replies } = context;
  const flags = message.attribute(StunAttribute.changeRequest);
  const responsePort = message.attribute(StunAttribute.responsePort);
  const padding = message.attribute(StunAttribute.padding);
  // "If the Request contained the PADDING attribute and RESPONSE-PORT … 400"; the answer is never longer than the question
  const port = responsePort ? portOf(responsePort) : client.port;
  const isMalformed = (flags && flags.length !== 4) || port === 0;
  if (isMalformed || (padding && responsePort)) return replies.error(request, 400, undefined);
  const bits = flags?.[3] ?? 0;
  const from = discovery.answering(listener, { address: (bits & 4) !== 0, port: (bits & 2) !== 0 });
  // "the answer is never longer than the question" beyond what four addresses take
  const room = message.bytes.length - ANSWER_HEAD[client.family];
  replies.binding(request, {
    origin: context.listenerAt(from),
    other: discovery.other(listener),
    padding: padding && room > 0 ? Math.min(padding.length, room) & ~3 : 0,
  });
  if (replies.bytes.length === 0) return false;
  if (from === listener && !responsePort) return true;
  const { family, a, b, c, d } = client;
  context.sendFrom(from, new UdpEndpoint(family, [a, b, c, d], port));
  return false;
}

/** 0 when it is malformed; two bytes, which some clients pad inside the declared length (RFC 5780 7.5). */
function portOf(value: Uint8Array): number {
  return value.length === 2 || value.length === 4 ? (value[0]! << 8) | value[1]! : 0;
}
