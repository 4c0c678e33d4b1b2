import type { Call } from './call.ts';
import type { CallContext } from './context.ts';
import { sdpOf } from './exchange.ts';
import { echoCommand, statusOf } from './media.ts';
import { accept, reject } from './outcome.ts';

/** Answers a call to the echo: the relay makes the answer. */
export function startEcho(context: CallContext, call: Call, nowMs: number): void {
  call.kind = 'echo';
  answerItself(context, call, { what: 'the echo', nowMs });
}

/** Answers a call and lets it wait in silence: the relay makes the answer. */
export function startSilence(context: CallContext, call: Call, nowMs: number): void {
  call.kind = 'parked';
  answerItself(context, call, { what: 'a waiting call', nowMs });
}

function answerItself(context: CallContext, call: Call, { what, nowMs }: { what: string; nowMs: number }): void {
  const sdp = sdpOf(call.invite);
  if (sdp === undefined) {
    reject(context, call, 488, `${what} needs an offer in the INVITE`, nowMs);
    return;
  }
  if (!context.options.relayOffers('echo')) {
    reject(context, call, 503, `the media relay in use has no echo, which ${what} needs`, nowMs);
    return;
  }
  call.ngCallId = `${call.id}-echo`;
  const command = echoCommand({ ngCallId: call.ngCallId, from: call.a, sdp, isSilent: call.kind === 'parked' });
  context.media(call, command, (result, now) => {
    if ('error' in result) reject(context, call, statusOf(result.error), result.error, now);
    else accept(context, call, { sdp: String(result.ok.sdp ?? '') }, now);
  });
}
