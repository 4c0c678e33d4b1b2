import { createResponse, hex, parseUri, type SipMessage } from '@offhook/core';
import { Dialog } from '../dialog/index.ts';
import { isSender } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import { startBranches } from './branch.ts';
import { type Call, type Leg, newCall, newLeg } from './call.ts';
import { type CallContext, noteAllow, refusal } from './context.ts';
import { sdpOf } from './exchange.ts';
import { echoCommand, isWebTransport, profileOf, sdpProblem, statusOf } from './media.ts';
import { accept, reject } from './outcome.ts';
import { refuseInterval } from './session-timer.ts';

/** An INVITE that begins a call, as admission let it in. */
export interface FirstInvite {
  readonly id: string;
  readonly message: SipMessage;
  readonly flow: Flow;
  readonly account?: string;
}

/** An INVITE outside of any dialog: refused in words, or the beginning of a call. */
export function startCall(context: CallContext, got: FirstInvite, nowMs: number): void {
  const { message, id, flow } = got;
  const { options, counters } = context;
  const caller = got.account ?? '';
  const target = parseUri(message.uri);
  const callee = target?.user ?? '';
  // A temporary GRUU says nothing of who is behind it, so the caller is told of it by that name only.
  const gruu = target && options.resolveGruu(target);
  const refuse = (status: number, words: string) => {
    counters.rejected++;
    context.respond(id, refusal(message, status, words, context.newTag()), nowMs);
  };
  counters.attempts++;
  if (context.callsOf(caller) >= context.limits.callsPerUser) {
    refuse(503, `${caller} has ${context.limits.callsPerUser} calls already`);
    return;
  }
  const tooSmall = refuseInterval(context, message, context.newTag());
  if (tooSmall) {
    counters.rejected++;
    context.respond(id, tooSmall, nowMs);
    return;
  }
  const problem = inviteProblem(message);
  if (problem !== undefined) {
    refuse(problem.status, problem.words);
    return;
  }
  const route = options.route(gruu?.user ?? callee);
  if (route.kind === 'reject') {
    refuse(route.status, route.reason);
    return;
  }
  if (route.kind === 'echo') {
    context.respond(id, createResponse(message, 100), nowMs);
    startEcho(context, callOf(context, { got, caller, callee, kind: 'echo', nowMs }), nowMs);
    return;
  }
  const registered = options.lookup(route.user, nowMs, gruu?.instance);
  // Who calls the own name means the own other phones.
  const bindings = registered.filter((binding) => !isSender(binding, message, flow));
  if (bindings.length === 0) {
    refuse(
      480,
      registered.length === 0
        ? `${callee} is not registered: nobody is signed in under that name`
        : `${callee} has no other phone that is signed in`,
    );
    return;
  }
  context.respond(id, createResponse(message, 100), nowMs);
  startBranches(context, callOf(context, { got, caller, callee, kind: 'user', nowMs }), bindings, nowMs);
}

/** What is wrong with an INVITE itself. */
function inviteProblem(message: SipMessage): { status: number; words: string } | undefined {
  const sdp = sdpOf(message);
  if (sdp === undefined && message.body.length > 0)
    return { status: 415, words: 'only application/sdp is understood in an INVITE' };
  const problem = sdp === undefined ? undefined : sdpProblem(sdp);
  if (problem !== undefined) return { status: 488, words: problem };
  if (message.contacts === '*' || !message.contacts?.[0]?.uri.isSip)
    return { status: 400, words: 'an INVITE needs a Contact with a SIP URI' };
  return undefined;
}

/** Of a phone that names itself, or that gives a GRUU of ours as its Contact (RFC 5627 4.4.1). */
function instanceOf(context: CallContext, { contacts }: SipMessage): string | undefined {
  const contact = contacts === '*' ? undefined : contacts?.[0];
  return contact?.params.get('+sip.instance') ?? (contact && context.options.resolveGruu(contact.uri)?.instance);
}

/** A call-id at the relay, and in records. */
export function newCallId(context: CallContext): string {
  return hex(context.options.crypto.randomBytes(12));
}

function callOf(
  context: CallContext,
  of: { got: FirstInvite; caller: string; callee: string; kind: Call['kind']; nowMs: number },
): Call {
  const { message, id, flow } = of.got;
  const call = newCall({
    id: newCallId(context),
    caller: of.caller,
    callee: of.callee,
    startedAtMs: of.nowMs,
    kind: of.kind,
    invite: message,
    inviteTransaction: id,
  });
  const dialog = Dialog.ofInvite(message, { localTag: context.newTag(), flow, contact: context.options.contact });
  const a: Leg = newLeg(call, {
    dialog,
    user: of.caller,
    instance: instanceOf(context, message),
    isWeb: isWebTransport(message.vias.at(-1)?.transport),
    mediaTag: context.newTag(),
  });
  noteAllow(a, message);
  a.profile = profileOf(sdpOf(message) ?? '');
  Object.assign(call, { a });
  context.addCall(call);
  context.addLeg(a);
  return call;
}

/** Answers a call to the echo: the relay makes the answer. */
export function startEcho(context: CallContext, call: Call, nowMs: number): void {
  const sdp = sdpOf(call.invite);
  if (sdp === undefined) {
    reject(context, call, 488, 'the echo needs an offer in the INVITE', nowMs);
    return;
  }
  if (!context.options.relayOffers('echo')) {
    reject(context, call, 503, 'the media relay in use has no echo', nowMs);
    return;
  }
  call.ngCallId = `${call.id}-echo`;
  context.media(call, echoCommand({ ngCallId: call.ngCallId, from: call.a, sdp }), nowMs, (result, now) => {
    if ('error' in result) reject(context, call, statusOf(result.error), result.error, now);
    else accept(context, call, { sdp: String(result.ok.sdp ?? '') }, now);
  });
}
