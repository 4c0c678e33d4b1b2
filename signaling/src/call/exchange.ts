import type { NgResult } from '../media/index.ts';
import type { Call, Leg } from './call.ts';
import type { CallContext } from './context.ts';
import { answerCommand, mediaLines, offerCommand, padSections, profileOf, trimSections } from './media.ts';

/** The description for the other side, or why there is none. */
export type Carried = { readonly sdp: string } | { readonly error: string };

/** One half of an exchange of offer and answer (RFC 3264) on its way through the relay. */
export interface Half {
  readonly call: Call;
  readonly ngCallId: string;
  readonly from: Leg;
  readonly to: Leg;
  readonly sdp: string;
}

/** Carries an offer through the relay. */
export function carryOffer(
  context: CallContext,
  half: Half,
  nowMs: number,
  then: (carried: Carried, nowMs: number) => void,
): void {
  const { call, ngCallId, from, to } = half;
  const sdp = padSections(half.sdp, call.sections);
  const command = offerCommand({ ngCallId, from, to, sdp, path: context.options.mediaPath });
  context.media(call, command, nowMs, (result, now) => {
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
  const sdp = padSections(half.sdp, call.sections);
  context.media(call, answerCommand({ ngCallId, from, to, sdp }), nowMs, (result, now) => {
    if ('ok' in result) {
      call.agreed = { offerer: to, offer, answerer: from, answer: half.sdp };
      to.profile = profileOf(offer) ?? to.profile;
      from.profile = profileOf(half.sdp) ?? from.profile;
    }
    then(carried(result, offer), now);
  });
}

/** Leads the relay back to what was agreed upon before a change that came to nothing (RFC 3261 14.1). */
export function restore(context: CallContext, call: Call, nowMs: number): void {
  const { agreed, ngCallId } = call;
  if (!agreed || ngCallId === undefined) return;
  const { offerer, answerer } = agreed;
  const pad = (sdp: string) => padSections(sdp, call.sections);
  const { mediaPath: path } = context.options;
  context.media(
    call,
    offerCommand({ ngCallId, from: offerer, to: answerer, sdp: pad(agreed.offer), path }),
    nowMs,
    () => {},
  );
  context.media(
    call,
    answerCommand({ ngCallId, from: answerer, to: offerer, sdp: pad(agreed.answer) }),
    nowMs,
    () => {},
  );
}

function carried(result: NgResult, own: string): Carried {
  if ('error' in result) return result;
  return { sdp: trimSections(String(result.ok.sdp ?? ''), mediaLines(own).length) };
}
