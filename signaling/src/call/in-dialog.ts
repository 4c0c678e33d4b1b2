import { createResponse, type SipMessage } from '@offhook/core';
import type { Dialog } from '../dialog/index.ts';
import { type Call, type Leg, otherLeg, spoken } from './call.ts';
import { type Credentials, credentialsFor, isChallenge, statusFor } from './challenge.ts';
import { ALLOW, type CallContext, noteAllow, reasonWords, refusal, SUPPORTED } from './context.ts';
import { changeByCaller } from './early-change.ts';
import { endToEnd } from './end-to-end.ts';
import { acknowledge, carryAnswer, sdpOf } from './exchange.ts';
import { isFastUpdate } from './fast-update.ts';
import { keyFrameCommand } from './media.ts';
import { giveUp, tearDown } from './outcome.ts';
import { tryAgain } from './rejoin.ts';
import { startRenegotiation } from './renegotiate.ts';
import { stopRepeating } from './repeated-ok.ts';
import { agreeAsServer, refuseInterval } from './session-timer.ts';
import { bring } from './transfer.ts';

/** A request within a dialog and its server transaction. */
export interface InDialog {
  readonly id: string;
  readonly message: SipMessage;
}

/** ACK of a 2xx of ours: it is repeated no more, and with a late offer it brings the answer (RFC 3261 13.2.1). */
export function handleAck(context: CallContext, leg: Leg, message: SipMessage, nowMs: number): void {
  if (leg.ok?.cseq !== message.cseq.number) return;
  stopRepeating(context, leg);
  const { call } = leg;
  const waiting = call.awaitingAnswerInAck;
  if (waiting?.leg !== leg) {
    // A change of ours that had to wait for this.
    if (!call.refreshing) tryAgain(leg, nowMs);
    return;
  }
  if (call.state === 'ended') return;
  call.awaitingAnswerInAck = undefined;
  const sdp = sdpOf(message);
  if (sdp === undefined) {
    context.hangUp(call, { status: 488, words: 'the ACK has no answer' }, nowMs);
    return;
  }
  const { peer, ackCSeq, offer } = waiting;
  const half = { call, ngCallId: call.ngCallId!, from: leg, to: peer, sdp, offer };
  carryAnswer(context, half, nowMs, (carried, now) => {
    if ('error' in carried) context.hangUp(call, { status: 488, words: carried.error }, now);
    else {
      acknowledge(context, { leg: peer }, ackCSeq, carried.sdp);
      context.changed(call);
    }
  });
}

export function handleBye(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { call } = leg;
  context.respond(got.id, createResponse(got.message, 200, undefined, { toTag: leg.tag }), nowMs);
  context.counters.countOver(leg, 'completed', nowMs);
  const words = reasonWords(got.message);
  // Its 2xx still gets an ACK, or it would be repeated for 32 s.
  if (leg.unacknowledged !== undefined) acknowledge(context, { leg }, leg.unacknowledged, undefined);
  if (call.state !== 'answered') {
    endEarly(context, call, { leg, words, nowMs });
    return;
  }
  const other = otherLeg(leg);
  // Who transfers the other may leave before the new one has answered (RFC 5589 6.1).
  if (other && call.pending?.transfer?.by === leg) {
    leave(context, call.pending, other, nowMs);
    return;
  }
  if (other) context.byes.send(other, words, nowMs);
  context.end(call, { status: 200, words: words ?? `ended by ${spoken(leg)}` }, nowMs);
}

/** Who is transferred waits in the new call, its media path with it; then the old one may end. */
function leave(context: CallContext, pending: Call, other: Leg, nowMs: number): void {
  const { transfer } = pending;
  const { by, old } = transfer!;
  transfer!.isOver = true;
  bring(context, pending, nowMs, (problem, now) => {
    if (old.state !== 'answered') return;
    const words = `${spoken(by)} transferred ${spoken(other)} and left`;
    old.pending = undefined;
    if (problem === undefined && pending.state !== 'ended') other.call = pending;
    else {
      context.byes.send(other, problem ?? words, now);
      giveUp(context, pending, { status: 503, words: problem ?? words, nowMs: now });
    }
    context.end(old, { status: 200, words }, now);
  });
}

/** RFC 3261 15: a caller may end an early dialog by BYE. */
function endEarly(
  context: CallContext,
  call: Call,
  { leg, words, nowMs }: { leg: Leg; words: string | undefined; nowMs: number },
): void {
  if (leg === call.a) giveUp(context, call, { status: 487, words: 'ended by the caller', nowMs });
  else if (leg === call.b)
    tearDown(context, call, {
      status: 480,
      words: words ?? `${spoken(leg)} hung up at once`,
      nowMs,
      calleeIsGone: true,
    });
}

/** Some desk phones let themselves be controlled by other bodies. */
const FROM_OUTSIDE = /^(?:application\/(?:dtmf|dtmf-relay|media_control\+xml)|text\/plain)$/;

/** INFO (DTMF of some phones) and MESSAGE go to the other side as they are; its answer comes back. */
export function passOn(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { call } = leg;
  const { id, message } = got;
  const other = otherLeg(leg);
  if (!other || call.state !== 'answered') {
    const status = call.kind === 'echo' ? 200 : 481;
    context.respond(id, createResponse(message, status, undefined, { toTag: leg.tag }), nowMs);
    return;
  }
  if (other.isLost) {
    const words = 'the other side’s connection is interrupted';
    context.respond(id, refusal(message, 480, words, leg.tag, [['Retry-After', 5]]), nowMs);
    return;
  }
  if (leg.isOutside && message.body.length > 0 && !FROM_OUTSIDE.test(message.contentType ?? '')) {
    const words = 'only key presses, requests for a picture and plain text come in from other servers';
    context.respond(id, refusal(message, 415, words, leg.tag), nowMs);
    return;
  }
  if (askForPicture(context, { leg, other, got })) return;
  passAsItIs(context, { from: leg, to: other, got }, nowMs);
}

/**
 * A phone that wants a key frame (RFC 5168): where our relay is between, it asks the other side in the way that side knows, for
 * browsers know nothing of INFO. False where it can't.
 */
function askForPicture(context: CallContext, { leg, other, got }: { leg: Leg; other: Leg; got: InDialog }): boolean {
  const { message, id } = got;
  const { call } = leg;
  if (!isFastUpdate(message) || !context.options.relayOffers('key-frame')) return false;
  if (call.ngCallId === undefined || call.isUnrelayed) return false;
  context.media(call, keyFrameCommand({ ngCallId: call.ngCallId, tag: other.mediaTag }), (result, now) => {
    if ('error' in result) passAsItIs(context, { from: leg, to: other, got }, now);
    else context.respond(id, createResponse(message, 200, undefined, { toTag: leg.tag }), now);
  });
  return true;
}

function passAsItIs(context: CallContext, what: { from: Leg; to: Leg; got: InDialog }, nowMs: number): void {
  const { message } = what.got;
  const body =
    message.body.length > 0 ? { type: message.header('content-type') ?? 'text/plain', bytes: message.body } : undefined;
  carry(context, { ...what, body }, nowMs);
}

function carry(
  context: CallContext,
  what: {
    from: Leg;
    to: Leg;
    got: InDialog;
    body: { type: string; bytes: Uint8Array } | undefined;
    authorized?: Credentials;
  },
  nowMs: number,
): void {
  const { from, to, got, body, authorized } = what;
  const { id, message } = got;
  const request = to.dialog.request(message.method, {
    body,
    headers: [...endToEnd(message), ...(authorized ? [authorized] : [])],
  });
  request.set('max-forwards', (message.maxForwards ?? 70) - 1);
  context.follow(context.options.transactions.request(request, to.dialog.flow, nowMs), {
    response: (answer, _flow, now) => {
      if (answer.status < 200) return;
      const proof = credentialsFor(to, request, answer);
      if (proof && to.call.state === 'answered') carry(context, { ...what, authorized: proof }, now);
      else {
        const headers = endToEnd(answer);
        const reason = isChallenge(answer) ? undefined : answer.reason;
        context.respond(id, createResponse(message, statusFor(answer), reason, { toTag: from.tag, headers }), now);
      }
    },
    failed: (why, now) =>
      context.respond(
        id,
        refusal(message, why === 'timeout' ? 408 : 480, 'the other side does not answer', from.tag),
        now,
      ),
  });
}

/** A re-INVITE: a change of the call, or a refresh of its session that looks like one. */
export function handleReinvite(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const tooSmall = refuseInterval(context, got.message, leg.tag);
  if (tooSmall) context.respond(got.id, tooSmall, nowMs);
  else startRenegotiation(context, leg, { transaction: got.id, request: got.message, nowMs });
}

/** UPDATE (RFC 3311): without a description it refreshes target and session timer; with one it is a change of the call. */
export function handleUpdate(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { id, message } = got;
  const tooSmall = refuseInterval(context, message, leg.tag);
  if (tooSmall) {
    context.respond(id, tooSmall, nowMs);
    return;
  }
  if (sdpOf(message) !== undefined) {
    if (leg.call.state === 'answered') startRenegotiation(context, leg, { transaction: id, request: message, nowMs });
    else changeByCaller(context, leg, got, nowMs);
    return;
  }
  refreshTarget(context, { leg, dialog: leg.dialog, allows: leg.allows }, got, nowMs);
}

/** UPDATE without a description (RFC 3311 5.2), in an early dialog too. */
export function refreshTarget(
  context: CallContext,
  of: { leg: Leg; dialog: Dialog; allows: Set<string> },
  { id, message }: InDialog,
  nowMs: number,
): void {
  const { leg } = of;
  of.dialog.retarget(message);
  noteAllow(of, message);
  context.changed(leg.call);
  const response = createResponse(message, 200, undefined, {
    toTag: leg.tag,
    headers: [
      ['Contact', `<${context.options.contact(leg.flow)}>`],
      ['Allow', ALLOW],
      ['Supported', SUPPORTED.join(', ')],
      ...(leg.call.state === 'answered' ? agreeAsServer(context, leg, message, nowMs) : []),
    ],
  });
  context.respond(id, response, nowMs);
}
