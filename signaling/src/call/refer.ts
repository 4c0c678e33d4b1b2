import { createRequest, createResponse, NameAddr, parseNameAddr, SipUri, unescapeUri } from '@offhook/core';
import { type Call, type Fetched, type Leg, newCall, otherLeg, type Transfer } from './call.ts';
import { type CallContext, refusal } from './context.ts';
import { SDP } from './exchange.ts';
import { fetchLeg } from './fetch.ts';
import type { InDialog } from './in-dialog.ts';
import { UNRELAYED } from './media.ts';
import { parseReplaces, type Replaces } from './replaces.ts';
import { carryOut, newCallId } from './start.ts';
import { eventOf, notify } from './transfer.ts';

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
  // Whoever is elsewhere would have calls made here that its own users pay for.
  if (leg.isOutside) {
    refuse(403, 'only users of this server can transfer calls');
    return;
  }
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
  if (call.isUnrelayed && !call.isTerminated) {
    refuse(488, UNRELAYED);
    return;
  }
  if (!context.options.relayOffers('connect')) {
    refuse(503, 'the media relay in use can’t move a call');
    return;
  }
  const begin = (callee: string, now: number): Call => {
    const silent = message.header('refer-sub')?.trim().toLowerCase().startsWith('false') ?? false;
    const transfer: Transfer = {
      by: leg,
      old: call,
      event: silent ? undefined : eventOf(leg, message.cseq.number),
      isOver: false,
      move: { state: 'stays', waiting: [] },
    };
    const headers: (readonly [string, string])[] = [['Contact', `<${context.options.contact(leg.flow)}>`]];
    if (silent) headers.push(['Refer-Sub', 'false']);
    context.respond(id, createResponse(message, 202, undefined, { toTag: leg.tag, headers }), now);
    notify(context, transfer, 100, now);
    const description = known.replace(/^a=(?:sendonly|recvonly|inactive)\r?\n/gm, '');
    const next = transferredCall(context, { transfer, leg: other, callee, description, nowMs: now });
    call.pending = next;
    return next;
  };
  const replaced = replacesOf(uri);
  if (replaced !== undefined) {
    const far = farEnd(context, leg, replaced);
    if ('status' in far) {
      refuse(far.status, far.words);
      return;
    }
    fetchLeg(context, begin(far.leg.user, nowMs), far.leg, far.fetched, nowMs);
    return;
  }
  if (!context.options.isLocal(uri.host)) {
    refuse(404, `${uri.host} is not served here`);
    return;
  }
  // Who transfers answers for the new call: what it may reach is what the one who transfers may call.
  const gruu = context.options.resolveGruu(uri);
  const facts = { account: leg.user, from: other.party, to: gruu?.user ?? uri.user ?? '' };
  context.options.route(facts, nowMs, ({ decision }, now) => {
    if (call.state !== 'answered' || call.pending) refuse(491, 'another change of this call was quicker');
    else if (decision.kind === 'reject') refuse(decision.status, decision.reason);
    else if (decision.kind === 'pickup') refuse(403, 'nobody can be transferred to a pick-up');
    else {
      const next = begin(uri.user ?? '', now);
      next.only = gruu;
      carryOut(context, next, decision, now);
    }
  });
}

/** The far end of the other call of who asks: only its own calls can be joined. */
function farEnd(
  context: CallContext,
  leg: Leg,
  replaced: Replaces,
): { readonly leg: Leg; readonly fetched: Fetched } | { readonly status: number; readonly words: string } {
  const consulting = context.findLeg(replaced);
  const far = consulting && otherLeg(consulting);
  if (!consulting || consulting.user !== leg.user || consulting.call === leg.call)
    return { status: 481, words: 'the call to be joined does not exist (any more)' };
  const { call: from } = consulting;
  if (!far || from.state !== 'answered' || from.pending || !ownDescription(from, far))
    return { status: 480, words: 'the call to be joined is not answered yet' };
  return { leg: far, fetched: { from, leaving: consulting, move: { state: 'stays', waiting: [] } } };
}

/** Replaces as a header of a Refer-To URI: `?Replaces=…`, percent-escaped (RFC 3891 3); empty when it can't be read. */
function replacesOf({ headers }: SipUri): Replaces | undefined {
  for (const part of headers?.split('&') ?? []) {
    const at = part.indexOf('=');
    if (part.slice(0, at).toLowerCase() !== 'replaces') continue;
    const none = { callId: '', toTag: '', fromTag: '', isEarlyOnly: false };
    return parseReplaces(unescapeUri(part.slice(at + 1)) ?? '') ?? none;
  }
  return undefined;
}

/** How a phone last described itself. */
function ownDescription({ agreed }: Call, leg: Leg): string | undefined {
  if (!agreed) return undefined;
  return agreed.offerer === leg ? agreed.offer : agreed.answerer === leg ? agreed.answer : undefined;
}

/** The call that is to come of the transfer: the one that is transferred takes the caller's part. */
function transferredCall(
  context: CallContext,
  of: { transfer: Transfer; leg: Leg; callee: string; description: string; nowMs: number },
): Call {
  const { transfer, leg, callee, description, nowMs } = of;
  const { domain } = context.options;
  const invite = createRequest({
    method: 'INVITE',
    uri: `sip:${domain}`,
    from: new NameAddr(new SipUri({ user: leg.party, host: domain })).toString(),
    to: new NameAddr(new SipUri({ user: callee, host: domain })).toString(),
    callId: leg.dialog.callId,
    cseq: 1,
    headers: leg.isPrivate ? [['Privacy', 'id']] : [],
    body: { type: SDP, bytes: description },
  });
  const call = newCall({
    id: newCallId(context),
    caller: leg.party,
    callee,
    startedAtMs: nowMs,
    kind: 'user',
    invite,
    transfer,
    isTerminated: true,
    arrived: leg === transfer.old.a ? transfer.old.arrived : undefined,
    a: leg,
  });
  context.addCall(call);
  return call;
}
