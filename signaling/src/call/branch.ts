import { hex, type SipMessage } from '@offhook/core';
import { Dialog } from '../dialog/index.ts';
import { type Branch, type Call, type Leg, newLeg } from './call.ts';
import { type Credentials, credentialsFor } from './challenge.ts';
import { ALLOW, type CallContext, noteAllow, reasonWords, SUPPORTED, SUPPORTED_UNRELIABLE } from './context.ts';
import { addressOf, type Destination } from './destination.ts';
import { endToEnd } from './end-to-end.ts';
import {
  acknowledge,
  acknowledgedAgain,
  carryAnswer,
  carryOffer,
  concede,
  goesWithout,
  prove,
  SDP,
  sdpOf,
} from './exchange.ts';
import { goOn, redirected } from './hunt.ts';
import { deleteCommand, givesUpSrtp, isOfOtherKeys, type MediaProfile, profilesFor } from './media.ts';
import { abandon, accept, endGivenUp, provisional, tearDown } from './outcome.ts';
import { adoptEarly, answerOf, takeProvisional } from './prack.ts';
import { askAsClient, learnAsClient, raised } from './session-timer.ts';
import { hangUpStray } from './stray.ts';

/** RFC 3261 21.4.13, 21.4.26, 21.6.4: what was offered can't be had; perhaps something else can. */
const NOT_ACCEPTABLE: ReadonlySet<number> = new Set([415, 488, 606]);

/** What a phone is offered after it has refused something else, and what may follow. */
type Instead = Pick<Branch, 'otherProfiles'> & Pick<Leg, 'refusedSrtp'> & { readonly offered: MediaProfile };

/** Calls one destination, by a branch with a media path of its own. */
export function startBranch(
  context: CallContext,
  call: Call,
  destination: Destination,
  nowMs: number,
  instead?: Instead,
): void {
  const offer = sdpOf(call.invite);
  call.lateOffer = offer === undefined;
  const branch = newBranch(context, call, destination, instead);
  call.branches.push(branch);
  if (offer === undefined) {
    invite(context, branch, undefined, nowMs);
    return;
  }
  const half = { call, ngCallId: branch.ngCallId, from: call.a, to: branch.leg, sdp: offer };
  carryOffer(context, half, nowMs, (carried, now) => {
    if (branch.abandoned) fail(context, branch, 487, 'cancelled', now);
    else if ('error' in carried) fail(context, branch, 503, carried.error, now);
    else invite(context, branch, carried.sdp, now);
  });
}

function newBranch(context: CallContext, call: Call, destination: Destination, instead: Instead | undefined): Branch {
  const { options } = context;
  const { user, party, uri, from, to, flow, route, instance, isWeb, isOutside, outgoing } = destination;
  const dialog = new Dialog({
    callId: hex(options.crypto.randomBytes(16)),
    localTag: context.newTag(),
    remoteTag: '',
    localParty: from,
    remoteParty: to,
    remoteTarget: uri,
    flow,
    contact: options.contact,
  });
  // RFC 3327 5.4; what is learnt from the answer replaces it.
  dialog.routeSet = route;
  const leg = newLeg(call, {
    dialog,
    user,
    party,
    instance,
    isWeb,
    isOutside,
    isCalled: true,
    mediaTag: context.newTag(),
  });
  leg.line = outgoing;
  leg.profile = instead?.offered;
  leg.refusedSrtp = instead?.refusedSrtp;
  context.addLeg(leg);
  const ngCallId = nextPath(call);
  const { offered, otherProfiles } = instead ?? firstProfiles(context, call, leg);
  return {
    call,
    ngCallId,
    leg,
    destination,
    state: 'offering',
    abandoned: false,
    strays: new Map(),
    offered,
    otherProfiles,
  };
}

/** None where the phone gets the caller's own description, or makes the offer itself. */
function firstProfiles(context: CallContext, call: Call, leg: Leg): Pick<Branch, 'offered' | 'otherProfiles'> {
  const offer = sdpOf(call.invite);
  if (offer === undefined || goesWithout(context, call, call.a, leg)) return {};
  const [offered, ...others] = profilesFor(leg, offer, context.options.encryption);
  return { offered, otherProfiles: others };
}

/** The relay's name of one more media path of a call. */
export function nextPath(call: Call): string {
  return `${call.id}-${call.branches.length}`;
}

interface Again {
  readonly atLeastS: number;
  readonly authorized?: Credentials;
}

function invite(
  context: CallContext,
  branch: Branch,
  sdp: string | undefined,
  nowMs: number,
  again: Again = { atLeastS: 0 },
): void {
  const { call, leg, destination } = branch;
  const { atLeastS, authorized } = again;
  leg.sent = sdp;
  const request = leg.dialog.request('INVITE', {
    headers: [
      ['Allow', ALLOW],
      ['Supported', (sdp === undefined ? SUPPORTED_UNRELIABLE : SUPPORTED).join(', ')],
      ['User-Agent', 'Offhook'],
      ...(call.transfer ? [['Referred-By', addressOf(context, call.transfer.by.user)] as const] : []),
      ...askAsClient(context, leg, atLeastS),
      ...(destination?.headers ?? []),
      ...(authorized ? [authorized] : []),
      ...endToEnd(call.invite),
    ],
    body: sdp === undefined ? undefined : { type: SDP, bytes: sdp },
  });
  request.set('max-forwards', (call.invite.maxForwards ?? 70) - 1);
  const cseq = request.cseq.number;
  prove(leg, request, authorized);
  branch.state = 'inviting';
  branch.invitedMs ??= nowMs;
  branch.transaction = context.options.transactions.request(request, leg.dialog.flow, nowMs);
  context.follow(branch.transaction, {
    response: (message, _flow, now) => {
      if (message.status < 200) progress(context, branch, message, now);
      else if (message.status < 300) answered(context, branch, { message, cseq, now });
      else refused(context, branch, { request, message, sdp, again, now });
    },
    failed: (why, now) => {
      const isSilent = why === 'timeout';
      context.counters.countRefused(branch, isSilent ? 408 : 503, now);
      if (elsewhere(context, branch, now)) return;
      const words = isSilent ? 'the phone does not answer' : 'the phone’s connection is gone';
      fail(context, branch, isSilent ? 408 : 480, words, now);
    },
  });
}

/** A failure of a branch: some can be mended by asking again, or at another address. */
function refused(
  context: CallContext,
  branch: Branch,
  got: {
    request: SipMessage;
    message: SipMessage;
    sdp: string | undefined;
    again: Again;
    now: number;
  },
): void {
  const { request, message, sdp, again, now } = got;
  const { status } = message;
  if (!branch.abandoned) {
    const wantedS = raised(message, Math.max(context.limits.sessionS, again.atLeastS));
    if (wantedS !== undefined) {
      invite(context, branch, sdp, now, { atLeastS: wantedS }); // a nonce-count is used once
      return;
    }
    const authorized = credentialsFor(branch.leg, request, message);
    if (authorized) {
      invite(context, branch, sdp, now, { ...again, authorized });
      return;
    }
  }
  context.counters.countRefused(branch, status, now);
  if (!branch.abandoned) {
    if (branch.destination?.isNoWay(status) && elsewhere(context, branch, now)) return;
    const words = reasonWords(message) ?? '';
    // Never once somebody has heard it ring.
    const profiles = NOT_ACCEPTABLE.has(status) && !branch.hasRung ? (branch.otherProfiles ?? []) : [];
    if (offerInstead(context, branch, { status, words, profiles, nowMs: now })) return;
    if (status >= 300 && status < 400) redirected(context, branch, message, now);
  }
  fail(context, branch, refusedWith(message), reasonWords(message) ?? '', now);
}

/** Whether the same target is tried another way; never once somebody has heard it ring. */
function elsewhere(context: CallContext, branch: Branch, nowMs: number): boolean {
  const { destination, call } = branch;
  if (!destination?.next || branch.abandoned || call.finalSent || branch.hasRung) return false;
  close(context, branch);
  destination.next(nowMs);
  return true;
}

/** An answer with DTLS to SDES, as baresip 1.0 gives it, would be a call in silence: its phone is called anew, with DTLS. */
function hangUpUnfit(context: CallContext, branch: Branch, nowMs: number): void {
  const words = 'the answer’s keys are of another kind than the offer’s';
  context.counters.countRefused(branch, 488, nowMs);
  context.byes.send(branch.leg, words, nowMs);
  branch.state = 'inviting';
  const shown = branch.otherProfiles?.filter(({ protocol }) => protocol.includes('TLS')) ?? [];
  if (!offerInstead(context, branch, { status: 488, words, profiles: shown, nowMs }))
    fail(context, branch, 488, words, nowMs);
}

/** The same phone is offered the first of these; whether it is. */
function offerInstead(
  context: CallContext,
  branch: Branch,
  how: { status: number; words: string; profiles: readonly MediaProfile[]; nowMs: number },
): boolean {
  const { status, words, nowMs } = how;
  const { destination, call } = branch;
  const [offered, ...otherProfiles] = how.profiles;
  if (!destination || !offered || call.finalSent) return false;
  branch.failure ??= { status, reason: words };
  close(context, branch);
  const refusedSrtp = givesUpSrtp(offered) ? status : undefined;
  startBranch(context, call, destination, nowMs, { offered, otherProfiles, refusedSrtp });
  return true;
}

/** RFC 3261 16.7 step 6: a 503 of a phone says nothing of this server, which the caller may go on asking. */
function refusedWith({ status }: SipMessage): number {
  return status === 503 ? 500 : status;
}

/** 18x: ringing is passed on once, early media only when there is no other branch it could be mixed up with. */
function progress(context: CallContext, branch: Branch, message: SipMessage, nowMs: number): void {
  const { call } = branch;
  if (!takeProvisional(context, branch, message, nowMs)) return;
  if (message.status === 100 || branch.abandoned || call.finalSent) return;
  branch.hasRung = true;
  branch.toldMs ??= nowMs;
  branch.leg.earlyTag = message.to.tag;
  const sdp = sdpOf(message);
  if (sdp !== undefined && isOnlyOne(call, branch) && !call.lateOffer && branch.earlySdp === undefined) {
    branch.earlySdp = sdp;
    const half = {
      call,
      ngCallId: branch.ngCallId,
      from: branch.leg,
      to: call.a,
      sdp,
      offer: sdpOf(call.invite) ?? '',
    };
    carryAnswer(context, half, nowMs, (carried, now) => {
      if ('error' in carried || call.finalSent) return;
      branch.earlyAnswer = carried.sdp;
      provisional(context, call, { status: message.status, sdp: carried.sdp, carried: message, branch, now });
    });
  } else if (!call.ringingSent || (call.earlyFrom && call.earlyFrom !== branch))
    provisional(context, call, { status: 180, carried: message, branch, now: nowMs });
}

/** Whether what that branch plays can't be mixed up with another's. */
function isOnlyOne({ branches, hunt }: Call, branch: Branch): boolean {
  return (hunt?.waiting ?? 0) === 0 && branches.every((b) => b === branch || b.state === 'failed' || b.abandoned);
}

/** A 2xx of a branch: the first one wins, later ones are acknowledged and hung up (RFC 3261 13.2.2.4). */
function answered(context: CallContext, branch: Branch, got: { message: SipMessage; cseq: number; now: number }): void {
  const { call, leg } = branch;
  const { message, cseq, now } = got;
  const isKnown = leg.ack?.cseq === cseq || branch.state === 'answered';
  if (isKnown && message.to.tag !== leg.dialog.remoteTag) {
    hangUpStray(context, branch, message, now);
    return;
  }
  if (acknowledgedAgain(context, leg, cseq)) return;
  if (branch.state === 'answered') return; // its ACK waits for the caller's
  const sdp = answerOf(leg, message) ?? sdpOf(message) ?? branch.earlySdp;
  leg.dialog.learn(message);
  adoptEarly(leg, message);
  noteAllow(leg, message);
  leg.unacknowledged = cseq;
  branch.state = 'answered';
  if (call.finalSent || branch.abandoned || sdp === undefined) {
    if (sdp === undefined) context.counters.countRefused(branch, 488, now);
    context.byes.send(leg, sdp === undefined ? 'the answer has no session description' : 'answered elsewhere', now);
    branch.state = 'inviting';
    fail(context, branch, sdp === undefined ? 488 : 487, 'no session description in the answer', now);
    return;
  }
  if (!call.lateOffer && isOfOtherKeys(branch.offered, sdp)) {
    hangUpUnfit(context, branch, now);
    return;
  }
  learnAsClient(context, leg, message, now);
  context.counters.countTaken(branch, now);
  call.b = leg;
  call.isUnrelayed = goesWithout(context, call, call.a, leg);
  call.ngCallId = branch.ngCallId;
  call.finalSent = true;
  context.clearTimer(call.ring);
  for (const other of call.branches)
    if (other !== branch) abandon(context, other, { words: 'Call completed elsewhere', status: 200, nowMs: now });
  const { ngCallId } = branch;
  if (call.lateOffer) {
    // The offer is in this 2xx; its answer will come in the caller's ACK.
    carryOffer(context, { call, ngCallId, from: leg, to: call.a, sdp }, now, (carried, later) => {
      if ('error' in carried) {
        tearDown(context, call, { status: 503, words: carried.error, nowMs: later });
        return;
      }
      call.awaitingAnswerInAck = { leg: call.a, ackCSeq: cseq, peer: leg, offer: sdp };
      accept(context, call, { sdp: carried.sdp, answer: message }, later);
    });
    return;
  }
  acknowledge(context, { leg }, cseq, undefined);
  if (sdp === branch.earlySdp && branch.earlyAnswer !== undefined) {
    concede(call, { offer: sdpOf(call.invite) ?? '', answer: sdp, leg });
    accept(context, call, { sdp: branch.earlyAnswer, answer: message }, now);
    return;
  }
  const half = { call, ngCallId, from: leg, to: call.a, sdp, offer: sdpOf(call.invite) ?? '' };
  carryAnswer(context, half, now, (carried, later) => {
    if ('error' in carried) tearDown(context, call, { status: 488, words: carried.error, nowMs: later });
    else accept(context, call, { sdp: carried.sdp, answer: message }, later);
  });
}

/** A branch came to nothing; the call goes on with the others, and in the end with who else is to be rung. */
export function fail(context: CallContext, branch: Branch, status: number, words: string, nowMs: number): void {
  const { call } = branch;
  if (branch.state === 'failed') return;
  const wasLive = !branch.abandoned;
  close(context, branch);
  branch.failure ??= { status, reason: words };
  branch.leg.line?.release();
  // RFC 3261 16.7: 6xx is for all phones of that user; other users, as in a group, may still answer.
  if (status >= 600 && !branch.leg.isOutside)
    for (const other of call.branches)
      if (other.leg.user === branch.leg.user) abandon(context, other, { words: 'declined elsewhere', status, nowMs });
  if (call.finalSent) {
    endGivenUp(context, call, nowMs);
    return;
  }
  if (wasLive) goOn(context, call, nowMs);
}

function close(context: CallContext, branch: Branch): void {
  branch.state = 'failed';
  context.dropLeg(branch.leg);
  context.media(branch.call, deleteCommand(branch.ngCallId), () => {});
}
