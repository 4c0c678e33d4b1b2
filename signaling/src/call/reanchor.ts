import { isSdpError, parseSdp, writeSdp } from '@offhook/core';
import { type Call, type Leg, spoken } from './call.ts';
import type { CallContext } from './context.ts';
import { asOffer, carryAnswer, carryOffer, type Half, sdpOf } from './exchange.ts';
import { echoCommand } from './media.ts';
import { rejoin } from './rejoin.ts';

/** No relay answers for now: one may be on its way back. */
const AGAIN_MS = 500;
const TRIES = 30;
/** Thousands of calls at once would drown the relay that takes them: a thousand a second begin anew. */
const AT_ONCE = 50;
const AGAIN_AFTER_MS = 50;

/**
 * The relay that had these calls is gone, with its ports and keys. Those that were answered begin anew at another one, or at
 * the one that follows it: each phone gets a re-INVITE with what the other side last said, and answers for its new path.
 */
export function reanchor(context: CallContext, calls: Iterable<Call>, nowMs: number): void {
  let count = 0;
  for (const call of calls) {
    // The one that it was on its way to is gone as well.
    if (call.reanchoring) call.reanchoring.isVain = true;
    // Who is transferred there comes with what the relay said before.
    if (call.state !== 'answered') call.hasLostRelay = true;
    if (!isThere(call)) continue;
    call.reanchoring = { tries: 0, isVain: false };
    const inMs = Math.floor(count++ / AT_ONCE) * AGAIN_AFTER_MS;
    // Until it is done this timer is nobody else's: whether there is media is not the question now.
    context.clearTimer(call.check);
    if (inMs === 0) reanchorAgain(context, call, nowMs);
    else context.setTimer(call.check, nowMs + inMs);
  }
}

/** Whether there is something to begin anew. */
function isThere(call: Call): boolean {
  if (call.state !== 'answered' || call.ngCallId === undefined) return false;
  return !(call.isUnrelayed && !call.isTerminated) && call.reanchoring === undefined;
}

/** Its turn has come, or it is time to look for a relay again. */
export function reanchorAgain(context: CallContext, call: Call, nowMs: number): void {
  if (call.reanchoring) call.reanchoring.isVain = false;
  if (call.b && call.agreed) anew(context, call, nowMs);
  else waitAnew(context, call, nowMs);
}

/**
 * Between two phones, in two exchanges, for each phone answers for a new path: what the first said is over once it has, and
 * the relay has to know both as they are then.
 */
function anew(context: CallContext, call: Call, nowMs: number): void {
  const ngCallId = call.ngCallId!;
  const { offer } = call.agreed!;
  const [first, second] = call.agreed!.offerer === call.a ? [call.a, call.b!] : [call.b!, call.a];
  const past = { call, ngCallId, from: first, to: second, sdp: offer, isPast: true };
  carryTo(context, past, nowMs, (saidBySecond, answered) => {
    const noted = { call, ngCallId, from: second, to: first, sdp: saidBySecond, offer };
    carryAnswer(context, noted, answered, (toFirst, described) => {
      if ('error' in toFirst) {
        later(context, call, toFirst.error, described);
        return;
      }
      const back = { call, ngCallId, from: second, to: first, sdp: asOffer(saidBySecond) };
      carryTo(context, back, described, (saidByFirst, agreed) => {
        const last = { call, ngCallId, from: first, to: second, sdp: saidByFirst, offer: saidBySecond };
        // What the second has of us holds: our side of it is the same in this answer.
        carryAnswer(context, last, agreed, (toSecond, now) => {
          if ('error' in toSecond) later(context, call, toSecond.error, now);
          else done(context, call, now);
        });
      });
    });
  });
}

/** Offers a phone through the relay what the other side says; `then` gets its answer. */
function carryTo(context: CallContext, half: Half, nowMs: number, then: (sdp: string, nowMs: number) => void): void {
  carryOffer(context, half, nowMs, (carried, now) => {
    if ('error' in carried) later(context, half.call, carried.error, now);
    else invite(context, half.call, half.to, carried.sdp, now, then);
  });
}

/** With the echo, or while it waits parked. */
function waitAnew(context: CallContext, call: Call, nowMs: number): void {
  const sdp = sdpOf(call.invite);
  if (sdp === undefined) {
    failed(context, call, 'the media relay was restarted', nowMs);
    return;
  }
  const say = (own: string, isPast?: boolean) =>
    echoCommand({ ngCallId: call.ngCallId!, from: call.a, sdp: own, isSilent: call.kind === 'parked', isPast });
  context.media(call, say(sdp, true), (result, now) => {
    if ('error' in result) later(context, call, result.error, now);
    else
      invite(context, call, call.a, String(result.ok.sdp ?? ''), now, (answer) => {
        context.media(call, say(answer), (said, agreed) => {
          if ('error' in said) later(context, call, said.error, agreed);
          else done(context, call, agreed);
        });
      });
  });
}

function invite(
  context: CallContext,
  call: Call,
  leg: Leg,
  sdp: string,
  nowMs: number,
  then: (sdp: string, nowMs: number) => void,
): void {
  // It may be transferred out of this call meanwhile.
  const described = () => (leg.call === call ? continued(sdp, leg.sent) : undefined);
  rejoin(context, leg, described, nowMs, (result, now) => {
    if (call.state === 'ended') return;
    if (leg.call !== call) later(context, call, 'who talked in it has left', now);
    else if ('sdp' in result) then(result.sdp, now);
    else failed(context, call, result.words, now);
  });
}

function later(context: CallContext, call: Call, words: string, nowMs: number): void {
  const { reanchoring } = call;
  if (!reanchoring) return;
  if (++reanchoring.tries > TRIES) failed(context, call, words, nowMs);
  else context.setTimer(call.check, nowMs + AGAIN_MS);
}

function done(context: CallContext, call: Call, nowMs: number): void {
  if (call.reanchoring?.isVain) {
    later(context, call, 'so is the one that followed it', nowMs);
    return;
  }
  call.reanchoring = undefined;
  context.counters.reanchored++;
  context.setTimer(call.check, nowMs + context.limits.checkMs);
  context.changed(call);
}

function failed(context: CallContext, call: Call, words: string, nowMs: number): void {
  call.reanchoring = undefined;
  context.counters.mediaLost++;
  const who = [call.a, call.b].flatMap((leg) => (leg ? [spoken(leg)] : [])).join(' and ');
  context.hangUp(call, { status: 480, words: `the media relay of ${who} is gone, and ${words}` }, nowMs);
}

/**
 * A description of ours that follows another of ours: the session is the same, its version rises by one (RFC 3264 8). A
 * relay that knows nothing of the one before begins a new session.
 */
export function continued(sdp: string, before: string | undefined): string {
  const next = parseSdp(sdp);
  const last = before === undefined ? undefined : parseSdp(before);
  if (isSdpError(next) || last === undefined || isSdpError(last)) return sdp;
  const { username, sessionId, sessionVersion } = last.origin;
  const version = /^\d{1,18}$/.test(sessionVersion) ? String(BigInt(sessionVersion) + 1n) : sessionVersion;
  return writeSdp({ ...next, origin: { ...next.origin, username, sessionId, sessionVersion: version } });
}
