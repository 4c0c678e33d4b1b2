import { createRequest, createResponse, NameAddr, parseNameAddr, SipUri } from '@offhook/core';
import { startBranches } from './branch.ts';
import { type Call, type Consultation, type Leg, newCall, otherLeg, type Transfer } from './call.ts';
import { type CallContext, refusal } from './context.ts';
import { carryAnswer, carryOffer, SDP } from './exchange.ts';
import type { InDialog } from './in-dialog.ts';
import { statusOf } from './media.ts';
import { accept, reject } from './outcome.ts';
import { type Rejoined, rejoin } from './rejoin.ts';
import { newCallId, startEcho } from './start.ts';
import { eventOf, moveLeg, notify } from './transfer.ts';

/**
 * REFER within a call (RFC 3515, RFC 5589): the server completes the transfer itself, so neither the other phone nor the
 * new one need know of it. Blind: the new one is called, then given the description of who is transferred. Attended
 * (Replaces in Refer-To, RFC 3891): the far ends of both calls of the one that asks are joined.
 */
export function handleRefer(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { id, message } = got;
  const refuse = (status: number, words: string) =>
    context.respond(id, refusal(message, status, words, leg.tag), nowMs);
  const { call } = leg;
  const other = otherLeg(leg);
  const known = other && ownDescription(call, other);
  if (!other || !known) {
    refuse(403, 'there is nobody in this call who could be transferred');
    return;
  }
  if (call.state !== 'answered' || call.pending) {
    refuse(491, call.pending ? 'a transfer of this call is under way' : 'the call is still being set up');
    return;
  }
  const targets = message.values('refer-to');
  const target = targets.length === 1 ? parseNameAddr(targets[0]!) : undefined;
  if (!target?.uri.isSip) {
    refuse(400, 'a REFER needs one Refer-To with a SIP URI');
    return;
  }
  const { uri } = target;
  if ((uri.params.get('method') ?? 'INVITE').toUpperCase() !== 'INVITE') {
    refuse(501, 'only calls can be referred to');
    return;
  }
  const replaced = replacesOf(uri);
  const way = replaced === undefined ? blindWay(context, uri, nowMs) : attendedWay(context, leg, replaced);
  if ('status' in way) {
    refuse(way.status, way.words);
    return;
  }
  if (!context.options.relayOffers('connect')) {
    refuse(503, 'the media relay in use can’t move a call');
    return;
  }
  const silent = message.header('refer-sub')?.trim().toLowerCase().startsWith('false') ?? false;
  const transfer: Transfer = {
    by: leg,
    old: call,
    event: silent ? undefined : eventOf(leg, message.cseq.number),
    consult: way.kind === 'attended' ? way.consult : undefined,
    isOver: false,
    move: { state: 'stays', waiting: [] },
  };
  const headers: (readonly [string, string])[] = [['Contact', `<${context.options.contact(leg.flow)}>`]];
  if (silent) headers.push(['Refer-Sub', 'false']);
  context.respond(id, createResponse(message, 202, undefined, { toTag: leg.tag, headers }), nowMs);
  notify(context, transfer, 100, nowMs);
  const description = known.replace(/^a=(?:sendonly|recvonly|inactive)\r?\n/gm, '');
  const next = transferredCall(context, { transfer, leg: other, way, description, nowMs });
  call.pending = next;
  switch (way.kind) {
    case 'echo':
      startEcho(context, next, nowMs);
      return;
    case 'ring':
      startBranches(context, next, way.bindings, nowMs);
      return;
    case 'attended':
      joinBoth(context, next, way.consult, nowMs);
      return;
    default:
      way satisfies never;
  }
}

type Way =
  | { readonly kind: 'echo'; readonly callee: string }
  | { readonly kind: 'ring'; readonly callee: string; readonly bindings: ReturnType<CallContext['options']['lookup']> }
  | { readonly kind: 'attended'; readonly callee: string; readonly consult: Consultation }
  | { readonly status: number; readonly words: string };

function blindWay(context: CallContext, uri: SipUri, nowMs: number): Way {
  const { options } = context;
  if (!options.isLocal(uri.host)) return { status: 404, words: `${uri.host} is not served here` };
  const gruu = options.resolveGruu(uri);
  const route = options.route(gruu?.user ?? uri.user);
  if (route.kind === 'reject') return { status: route.status, words: route.reason };
  if (route.kind === 'echo') return { kind: 'echo', callee: uri.user ?? '' };
  const callee = gruu && uri.user !== undefined ? uri.user : route.user;
  const bindings = options.lookup(route.user, nowMs, gruu?.instance);
  if (bindings.length === 0)
    return { status: 480, words: `${callee} is not registered: nobody is signed in under that name` };
  return { kind: 'ring', callee, bindings };
}

/** The other call of who asks: only its own calls can be joined. */
function attendedWay(context: CallContext, leg: Leg, replaced: Replaces): Way {
  const consulting = context.findLeg(replaced);
  const far = consulting && otherLeg(consulting);
  if (!consulting || consulting.user !== leg.user || consulting.call === leg.call)
    return { status: 481, words: 'the call to be joined does not exist (any more)' };
  if (!far || consulting.call.state !== 'answered' || consulting.call.pending || !ownDescription(consulting.call, far))
    return { status: 480, words: 'the call to be joined is not answered yet' };
  const consult = { call: consulting.call, leg: consulting, far, move: { state: 'stays' as const, waiting: [] } };
  return { kind: 'attended', callee: far.user, consult };
}

/** RFC 3891 3, as a header of a Refer-To URI: `?Replaces=…`, percent-escaped. */
interface Replaces {
  readonly callId: string;
  readonly toTag: string;
  readonly fromTag: string;
}

function replacesOf({ headers }: SipUri): Replaces | undefined {
  for (const part of headers?.split('&') ?? []) {
    const at = part.indexOf('=');
    if (part.slice(0, at).toLowerCase() !== 'replaces') continue;
    const [callId = '', ...params] = percentDecoded(part.slice(at + 1)).split(';');
    const tag = (name: string) =>
      params.find((p) => p.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
    return { callId, toTag: tag('to-tag'), fromTag: tag('from-tag') };
  }
  return undefined;
}

function percentDecoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return '';
  }
}

/** How a phone last described itself. */
function ownDescription({ agreed }: Call, leg: Leg): string | undefined {
  if (!agreed) return undefined;
  return agreed.offerer === leg ? agreed.offer : agreed.answerer === leg ? agreed.answer : undefined;
}

/** The call that is to come of the transfer: the one that is transferred takes the caller's part. */
function transferredCall(
  context: CallContext,
  of: { transfer: Transfer; leg: Leg; way: Exclude<Way, { status: number }>; description: string; nowMs: number },
): Call {
  const { transfer, leg, way, description, nowMs } = of;
  const { domain } = context.options;
  const invite = createRequest({
    method: 'INVITE',
    uri: `sip:${domain}`,
    from: new NameAddr(new SipUri({ user: leg.user, host: domain })).toString(),
    to: new NameAddr(new SipUri({ user: way.callee, host: domain })).toString(),
    callId: leg.dialog.callId,
    cseq: 1,
    headers: [['Referred-By', `<sip:${transfer.by.user}@${domain}>`]],
    body: { type: SDP, bytes: description },
  });
  const call = newCall({
    id: newCallId(context),
    caller: leg.user,
    callee: way.callee,
    startedAtMs: nowMs,
    kind: way.kind === 'echo' ? 'echo' : 'user',
    invite,
    transfer,
    a: leg,
  });
  context.addCall(call);
  return call;
}

/** Attended: the far end of the other call moves too, and gets the description of who is transferred. */
function joinBoth(context: CallContext, call: Call, consult: Consultation, nowMs: number): void {
  const sdp = call.invite.bodyText;
  const ngCallId = `${call.id}-0`;
  const { a } = call;
  const { far } = consult;
  const { move } = consult;
  const failed = (words: string, now: number) => reject(context, call, statusOf(words), words, now);
  const half = { call, ngCallId, from: a, to: far, sdp };
  call.ngCallId = ngCallId;
  consult.before = far.sent;
  carryOffer(context, half, nowMs, (offered, now) => {
    if (call.state === 'ended') return;
    if ('error' in offered) failed(offered.error, now);
    else moveLeg(context, move, { ngCallId, fromNgCallId: consult.call.ngCallId!, tag: far.mediaTag }, offer);
  });
  const offer = (problem: string | undefined, now: number) => {
    if (call.state === 'ended') return;
    if (problem !== undefined) failed(problem, now);
    else
      carryOffer(context, half, now, (carried, later) => {
        if (call.state === 'ended') return;
        if ('error' in carried) failed(carried.error, later);
        else rejoin(context, far, carried.sdp, later, answered);
      });
  };
  const answered = (result: Rejoined, now: number) => {
    if (call.state === 'ended') return;
    if ('status' in result) {
      reject(context, call, result.status, result.words, now);
      return;
    }
    call.b = far;
    call.branches.push({ call, ngCallId, leg: far, state: 'answered', abandoned: false, strays: new Map() });
    carryAnswer(context, { call, ngCallId, from: far, to: a, sdp: result.sdp, offer: sdp }, now, (back, later) => {
      if (call.state === 'ended') return;
      if ('error' in back) failed(back.error, later);
      else accept(context, call, { sdp: back.sdp }, later);
    });
  };
}
