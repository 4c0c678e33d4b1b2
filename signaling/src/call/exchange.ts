import { createResponse, type SipMessage } from '@offhook/core';
import type { NgResult } from '../media/index.ts';
import type { Branch, Call, Leg } from './call.ts';
import type { Credentials } from './challenge.ts';
import { ALLOW, type CallContext, SUPPORTED } from './context.ts';
import { endToEnd } from './end-to-end.ts';
import {
  answerCommand,
  concession,
  encryptionProblem,
  isUnrelayed,
  type MediaPath,
  mediaLines,
  offerCommand,
  padSections,
  profileOf,
  trimSections,
} from './media.ts';
import { agreeAsServer } from './session-timer.ts';

export const SDP = 'application/sdp';

/** The description in a message, or undefined when it has none. */
export function sdpOf(message: SipMessage): string | undefined {
  return message.body.length > 0 && message.contentType === SDP ? message.bodyText : undefined;
}

/** A 200 to an INVITE of any kind; `carried` is the answer of the other side that it stands for. */
export function okWith(
  context: CallContext,
  what: { request: SipMessage; leg: Leg; sdp: string | undefined; carried?: SipMessage },
  nowMs: number,
): SipMessage {
  const { request, leg, sdp, carried } = what;
  if (sdp !== undefined) leg.sent = sdp;
  return createResponse(request, 200, undefined, {
    toTag: leg.tag,
    headers: [
      ['Contact', `<${context.options.contact(leg.dialog.flow)}>`],
      ['Allow', ALLOW],
      ['Supported', SUPPORTED.join(', ')],
      ['Server', 'Offhook'],
      ...agreeAsServer(context, leg, request, nowMs),
      ...(carried ? endToEnd(carried) : []),
    ],
    body: sdp === undefined ? undefined : { type: SDP, bytes: sdp },
  });
}

/** Notes what an INVITE of ours proves the password with. */
export function prove(leg: Leg, invite: SipMessage, authorized: Credentials | undefined): void {
  if (authorized) leg.proof = { cseq: invite.cseq.number, header: authorized };
}

/** ACK for a 2xx, kept for when the 2xx is repeated. */
export function acknowledge(
  context: CallContext,
  branch: Pick<Branch, 'leg'>,
  cseq: number,
  sdp: string | undefined,
): void {
  const { leg } = branch;
  const message = leg.dialog.request('ACK', {
    cseq,
    headers: leg.proof?.cseq === cseq ? [leg.proof.header] : [],
    body: sdp === undefined ? undefined : { type: SDP, bytes: sdp },
  });
  if (sdp !== undefined) leg.sent = sdp;
  leg.ack = { cseq, message: message.clone() };
  if (leg.unacknowledged === cseq) leg.unacknowledged = undefined;
  context.options.transactions.send(message, leg.dialog.flow);
}

/** A 2xx that came again gets the same ACK again (RFC 3261 13.2.2.4); whether it was one. */
export function acknowledgedAgain(context: CallContext, leg: Leg, cseq: number): boolean {
  if (leg.ack?.cseq !== cseq) return false;
  context.options.transactions.send(leg.ack.message.clone(), leg.dialog.flow);
  return true;
}

/** The description for the other side, or why there is none. */
export type Carried = { readonly sdp: string } | { readonly error: string };

/** One half of an exchange of offer and answer (RFC 3264) on its way through the relay. */
export interface Half {
  readonly call: Call;
  readonly ngCallId: string;
  readonly from: Leg;
  readonly to: Leg;
  readonly sdp: string;
  /** Other than the call's own. */
  readonly path?: MediaPath;
  /** An offer that was made for a relay that is gone: its phone will say something else for this one. */
  readonly isPast?: boolean;
}

/** Whether media of a call may go through the relay unread. */
function pathOf(context: CallContext, { isTerminated }: Call): MediaPath {
  return isTerminated ? 'terminated' : context.options.mediaPath;
}

/** Whether these two legs of a call do without the relay; what an answered call began with, it stays with. */
export function goesWithout(context: CallContext, call: Call, a: Leg, b: Leg): boolean {
  if (call.isTerminated) return false;
  return call.isUnrelayed ?? isUnrelayed(a, b, context.options.mediaPath);
}

/** Carries an offer through the relay, or past it. */
export function carryOffer(
  context: CallContext,
  half: Half,
  nowMs: number,
  then: (carried: Carried, nowMs: number) => void,
): void {
  const { call, ngCallId, from, to, isPast } = half;
  const { encryption } = context.options;
  const problem = encryptionProblem(half.sdp, encryption);
  if (problem !== undefined) {
    if (call.state !== 'ended') then({ error: problem }, nowMs);
    return;
  }
  if (half.path === undefined && goesWithout(context, call, from, to)) {
    if (call.state !== 'ended') then({ sdp: half.sdp }, nowMs);
    return;
  }
  const sdp = padSections(half.sdp, call.sections);
  const isElsewhere = from.call !== call && call.transfer?.move.state !== 'moved';
  const command = offerCommand({
    ngCallId,
    from,
    to,
    sdp,
    path: half.path ?? pathOf(context, call),
    encryption,
    isStandIn: isElsewhere || (isPast && from.profile?.ice),
  });
  context.media(call, command, (result, now) => {
    const lines = mediaLines(sdp);
    if ('ok' in result && lines.length > call.sections.length) call.sections = lines;
    then(carried(result, half.sdp), now);
  });
}

/** Carries the answer back. `half.to` made the offer. When it has arrived, both sides agree upon it. */
export function carryAnswer(
  context: CallContext,
  half: Half & { readonly offer: string },
  nowMs: number,
  then: (carried: Carried, nowMs: number) => void,
): void {
  const { call, ngCallId, from, to, offer } = half;
  const problem = encryptionProblem(half.sdp, context.options.encryption);
  if (problem !== undefined) {
    if (call.state !== 'ended') then({ error: problem }, nowMs);
    return;
  }
  if (half.path === undefined && goesWithout(context, call, from, to)) {
    if (call.state === 'ended') return;
    call.agreed = { offerer: to, offer, answerer: from, answer: half.sdp };
    concede(call, { offer, answer: half.sdp, leg: from });
    then({ sdp: half.sdp }, nowMs);
    return;
  }
  const sdp = padSections(half.sdp, call.sections);
  context.media(call, answerCommand({ ngCallId, from, to, sdp }), (result, now) => {
    if ('ok' in result) {
      call.agreed = { offerer: to, offer, answerer: from, answer: half.sdp };
      concede(call, { offer, answer: half.sdp, leg: from });
      to.profile = profileOf(offer) ?? to.profile;
      from.profile = profileOf(half.sdp) ?? from.profile;
    }
    then(carried(result, offer), now);
  });
}

/** The record says that an encrypted offer was answered in plain; not of early media, whose phone may not get the call. */
export function concede(call: Call, { offer, answer, leg }: { offer: string; answer: string; leg: Leg }): void {
  // Who offers there is not what the phones wanted.
  if (call.b && !call.reanchoring)
    call.note ??= concession({ offer, answer, who: leg.party, refused: leg.refusedSrtp });
}

/** Leads the relay back to what was agreed upon before a change that came to nothing (RFC 3261 14.1). */
export function restore(context: CallContext, call: Call, ngCallId = call.ngCallId): void {
  const { agreed } = call;
  if (!agreed || ngCallId === undefined) return;
  const { offerer, answerer } = agreed;
  if (call.isUnrelayed && !call.isTerminated) return;
  const pad = (sdp: string) => padSections(sdp, call.sections);
  const path = pathOf(context, call);
  context.media(call, offerCommand({ ngCallId, from: offerer, to: answerer, sdp: pad(agreed.offer), path }), () => {});
  context.media(call, answerCommand({ ngCallId, from: answerer, to: offerer, sdp: pad(agreed.answer) }), () => {});
}

/** A phone answered our refresh with another description than it had: both become what is agreed on. */
export function adoptAnswer(context: CallContext, leg: Leg, answer: string): void {
  const { call } = leg;
  const { agreed } = call;
  if (!agreed) return;
  const wasAnswerer = agreed.answerer === leg;
  if (withoutOrigin(wasAnswerer ? agreed.answer : agreed.offer) === withoutOrigin(answer)) return;
  const other = wasAnswerer ? agreed.offerer : agreed.answerer;
  const offer = wasAnswerer ? agreed.offer : agreed.answer;
  call.agreed = { offerer: other, offer, answerer: leg, answer };
  restore(context, call);
}

function withoutOrigin(sdp: string): string {
  return sdp.replace(/^o=.*$/m, '');
}

function carried(result: NgResult, own: string): Carried {
  if ('error' in result) return result;
  return { sdp: trimSections(String(result.ok.sdp ?? ''), mediaLines(own).length) };
}

/** The description a phone has from us, offered again as it is; only who starts DTLS is left open (RFC 8842 5.5). */
export function asOffer(sdp: string): string {
  return sdp.replace(/^a=setup:(?:active|passive)\r?$/gm, 'a=setup:actpass\r');
}
