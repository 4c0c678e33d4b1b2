import { hex, NameAddr, type SipMessage, SipUri } from '@offhook/core';
import { Dialog } from '../dialog/index.ts';
import type { Binding } from '../registrar/index.ts';
import { type Branch, type Call, newLeg } from './call.ts';
import { ALLOW, type CallContext, noteAllow, reasonHeader, reasonWords, SUPPORTED } from './context.ts';
import { endToEnd } from './end-to-end.ts';
import { acknowledge, acknowledgedAgain, carryAnswer, carryOffer, SDP, sdpOf } from './exchange.ts';
import { deleteCommand, isWebTransport } from './media.ts';
import { abandon, accept, provisional, reject, tearDown } from './outcome.ts';
import { askAsClient, learnAsClient, raised } from './session-timer.ts';

/** Answers to one INVITE from several phones behind one contact that are hung up properly. */
const MAX_STRAYS = 8;

/** Calls every contact of the user at once, each by its own branch with its own media path. */
export function startBranches(context: CallContext, call: Call, bindings: readonly Binding[], nowMs: number): void {
  const offer = sdpOf(call.invite);
  call.lateOffer = offer === undefined;
  call.branches = bindings.map((binding, i) => newBranch(context, call, binding, i));
  context.setTimer(call.ring, nowMs + context.limits.ringMs);
  for (const branch of call.branches) {
    if (offer === undefined) {
      invite(context, branch, undefined, nowMs);
      continue;
    }
    const half = { call, ngCallId: branch.ngCallId, from: call.a, to: branch.leg, sdp: offer };
    carryOffer(context, half, nowMs, (carried, now) => {
      if (branch.abandoned) fail(context, branch, 487, 'cancelled', now);
      else if ('error' in carried) fail(context, branch, 503, carried.error, now);
      else invite(context, branch, carried.sdp, now);
    });
  }
}

function newBranch(context: CallContext, call: Call, binding: Binding, index: number): Branch {
  const { options } = context;
  const from = new NameAddr(
    new SipUri({ user: call.caller, host: options.domain }),
    undefined,
    options.displayName(call.caller),
  );
  const to = new NameAddr(new SipUri({ user: binding.user, host: options.domain }));
  const dialog = new Dialog({
    callId: hex(options.crypto.randomBytes(16)),
    localTag: context.newTag(),
    remoteTag: '',
    localParty: from.toString(),
    remoteParty: to.toString(),
    remoteTarget: binding.contact.toString(),
    flow: binding.flow,
    contact: options.contact,
  });
  // RFC 3327 5.4; what is learnt from the answer replaces it.
  dialog.routeSet = binding.path;
  const leg = newLeg(call, {
    dialog,
    user: binding.user,
    instance: binding.instanceId,
    isWeb: isWebTransport(binding.contact.params.get('transport')),
    mediaTag: context.newTag(),
  });
  context.addLeg(leg);
  const ngCallId = `${call.id}-${index}`;
  return { call, ngCallId, leg, state: 'offering', abandoned: false, strays: new Map() };
}

function invite(context: CallContext, branch: Branch, sdp: string | undefined, nowMs: number, atLeastS = 0): void {
  const { call, leg } = branch;
  leg.sent = sdp;
  const request = leg.dialog.request('INVITE', {
    headers: [
      ['Allow', ALLOW],
      ['Supported', SUPPORTED.join(', ')],
      ['User-Agent', 'Offhook'],
      ...(call.transfer ? [['Referred-By', `<sip:${call.transfer.by.user}@${context.options.domain}>`] as const] : []),
      ...askAsClient(context, leg, atLeastS),
      ...endToEnd(call.invite),
    ],
    body: sdp === undefined ? undefined : { type: SDP, bytes: sdp },
  });
  request.set('max-forwards', (call.invite.maxForwards ?? 70) - 1);
  const cseq = request.cseq.number;
  branch.state = 'inviting';
  branch.transaction = context.options.transactions.request(request, leg.dialog.flow, nowMs);
  context.follow(branch.transaction, {
    response: (message, _flow, now) => {
      if (message.status < 200) progress(context, branch, message, now);
      else if (message.status < 300) answered(context, branch, { message, cseq, now });
      else {
        const wantedS = branch.abandoned ? undefined : raised(message, Math.max(context.limits.sessionS, atLeastS));
        if (wantedS !== undefined) invite(context, branch, sdp, now, wantedS);
        else fail(context, branch, refusedWith(message), reasonWords(message) ?? '', now);
      }
    },
    failed: (why, now) =>
      fail(
        context,
        branch,
        why === 'timeout' ? 408 : 480,
        why === 'timeout' ? 'the phone does not answer' : 'the phone’s connection is gone',
        now,
      ),
  });
}

/** RFC 3261 16.7 step 6: a 503 of a phone says nothing of this server, which the caller may go on asking. */
function refusedWith({ status }: SipMessage): number {
  return status === 503 ? 500 : status;
}

/** 18x: ringing is passed on once, early media only when there is no other branch it could be mixed up with. */
function progress(context: CallContext, branch: Branch, message: SipMessage, nowMs: number): void {
  const { call } = branch;
  if (message.status === 100 || branch.abandoned || call.finalSent) return;
  const sdp = sdpOf(message);
  if (sdp !== undefined && call.branches.length === 1 && !call.lateOffer && branch.earlySdp === undefined) {
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
      provisional(context, call, { status: message.status, sdp: carried.sdp, carried: message, now });
    });
  } else if (!call.ringingSent) provisional(context, call, { status: 180, carried: message, now: nowMs });
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
  leg.dialog.learn(message);
  noteAllow(leg, message);
  leg.unacknowledged = cseq;
  branch.state = 'answered';
  const sdp = sdpOf(message) ?? branch.earlySdp;
  if (call.finalSent || branch.abandoned || sdp === undefined) {
    context.bye(leg, sdp === undefined ? 'the answer has no session description' : 'answered elsewhere', now);
    branch.state = 'inviting';
    fail(context, branch, sdp === undefined ? 488 : 487, 'no session description in the answer', now);
    return;
  }
  learnAsClient(context, leg, message, now);
  call.b = leg;
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
    accept(context, call, { sdp: branch.earlyAnswer, answer: message }, now);
    return;
  }
  const half = { call, ngCallId, from: leg, to: call.a, sdp, offer: sdpOf(call.invite) ?? '' };
  carryAnswer(context, half, now, (carried, later) => {
    if ('error' in carried) tearDown(context, call, { status: 488, words: carried.error, nowMs: later });
    else accept(context, call, { sdp: carried.sdp, answer: message }, later);
  });
}

/** A second answer to the same INVITE from behind the contact: a dialog of its own, acknowledged and hung up at once. */
function hangUpStray(context: CallContext, branch: Branch, message: SipMessage, nowMs: number): void {
  const tag = message.to.tag ?? '';
  const { transactions } = context.options;
  const { flow } = branch.leg.dialog;
  const known = branch.strays.get(tag);
  if (known) {
    transactions.send(known.clone(), flow);
    return;
  }
  if (branch.strays.size >= MAX_STRAYS) return;
  const dialog = branch.leg.dialog.fork(message);
  const ack = dialog.request('ACK', { cseq: message.cseq.number });
  branch.strays.set(tag, ack.clone());
  transactions.send(ack, flow);
  const bye = dialog.request('BYE', { headers: [['Reason', reasonHeader(200, 'Call completed elsewhere')]] });
  transactions.request(bye, flow, nowMs);
}

/** A branch came to nothing. When it was the last, the caller gets the best of all answers (RFC 3261 16.7 step 6). */
function fail(context: CallContext, branch: Branch, status: number, words: string, nowMs: number): void {
  const { call } = branch;
  if (branch.state === 'failed') return;
  branch.state = 'failed';
  branch.failure = { status, reason: words };
  context.media(call, deleteCommand(branch.ngCallId), nowMs, () => {});
  if (status >= 600)
    for (const other of call.branches) abandon(context, other, { words: 'declined elsewhere', status, nowMs });
  if (call.branches.some((b) => b.state !== 'failed')) return;
  if (call.finalSent) {
    if (call.b === undefined) context.end(call, { status: 487, words: 'cancelled by the caller' }, nowMs);
    return;
  }
  const best = bestOf(call.branches.flatMap((b) => b.failure ?? []));
  reject(context, call, best.status, best.reason || wordsFor(best.status, call.callee), nowMs);
}

/** 6xx first; else the lowest class, and within 4xx what tells the caller most. A phone's own challenge is not for the caller. */
function bestOf(failures: readonly { status: number; reason: string }[]): { status: number; reason: string } {
  const rank = ({ status }: { status: number }) => {
    if (status >= 600) return 0;
    if (status === 486) return 1;
    if (status === 488 || status === 415) return 2;
    if (status === 480) return 4;
    if (status === 408) return 5;
    return status < 500 ? 3 : 6;
  };
  const best = failures.reduce((a, b) => (rank(b) < rank(a) ? b : a));
  if (best.status === 401 || best.status === 407 || best.status < 400)
    return { status: 480, reason: 'the phone did not take the call' };
  return best;
}

function wordsFor(status: number, callee: string): string {
  const words: Readonly<Record<number, string>> = {
    408: `${callee}'s phone does not answer`,
    480: `${callee} cannot be reached`,
    486: `${callee} is busy`,
    488: `${callee}'s phone cannot do what was offered`,
    603: `${callee} declined`,
  };
  return words[status] ?? `${callee}'s phone refused the call`;
}
