import { createResponse, hex, type SipMessage } from '@offhook/core';
import { Dialog } from '../dialog/index.ts';
import type { CallFacts, Decision } from '../routing/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { Arrived, Line } from '../trunk/index.ts';
import { type Call, type Leg, newCall, newLeg } from './call.ts';
import { type CallContext, noteAllow, refusal } from './context.ts';
import { isPrivate } from './destination.ts';
import { startEcho } from './echo.ts';
import { sdpOf } from './exchange.ts';
import { hunt } from './hunt.ts';
import { isWebTransport, profileOf, sdpProblem } from './media.ts';
import { reject } from './outcome.ts';
import { fetchParked, park } from './parking.ts';
import { pickUp } from './pick-up.ts';
import { replace, replacedBy } from './replaces.ts';
import { refuseInterval } from './session-timer.ts';

/** An INVITE that begins a call, as admission let it in. */
export interface FirstInvite {
  readonly id: string;
  readonly message: SipMessage;
  readonly flow: Flow;
  /** Who is signed in there. */
  readonly account?: string;
  /** Or the trunk that it came over. */
  readonly trunk?: string;
}

/** An INVITE outside of any dialog: refused in words, or the beginning of a call. */
export function startCall(context: CallContext, got: FirstInvite, nowMs: number): void {
  const { message, id, trunk } = got;
  const { options, counters } = context;
  const arrived = trunk === undefined ? undefined : noUserOfOurs(context, options.trunks.arrived(message, trunk));
  const user = arrived ? `trunk ${arrived.trunk}` : (got.account ?? '');
  let line: Line | undefined;
  const refuse = (response: SipMessage, now: number) => {
    counters.rejected++;
    counters.caller.refused(response.status, now - nowMs);
    context.respond(id, response, now);
    line?.release();
  };
  const refused = (status: number, words: string, headers: readonly (readonly [string, number])[] = []) =>
    refusal(message, status, words, context.newTag(), headers);
  counters.attempts++;
  if (!arrived && context.callsOf(user) >= context.limits.callsPerUser) {
    refuse(refused(503, `${user} has ${context.limits.callsPerUser} calls already`), nowMs);
    return;
  }
  const tooSmall = refuseInterval(context, message, context.newTag());
  if (tooSmall) {
    refuse(tooSmall, nowMs);
    return;
  }
  const problem = inviteProblem(context, message);
  if (problem !== undefined) {
    refuse(refused(problem.status, problem.words), nowMs);
    return;
  }
  line = arrived && options.trunks.take(arrived.trunk);
  if (arrived && !line) {
    refuse(refused(503, `all lines of trunk '${arrived.trunk}' are in use`, [['Retry-After', 10]]), nowMs);
    return;
  }
  const target = message.target;
  // A temporary GRUU says nothing of who is behind it, so the call is told of by that name only.
  const gruu = arrived || !target ? undefined : options.resolveGruu(target);
  const callee = arrived?.to ?? target?.user ?? '';
  const begin = (now: number): Call => {
    context.respond(id, createResponse(message, 100), now);
    return callOf(context, { got, arrived, line, user, callee, nowMs: now });
  };
  const replaced = message.header('replaces');
  if (replaced !== undefined) {
    const target = replacedBy(context, message, user);
    if ('status' in target) refuse(refused(target.status, target.words), nowMs);
    else replace(context, begin(nowMs), target, nowMs);
    return;
  }
  const facts: CallFacts = {
    account: got.account,
    trunk: arrived?.trunk,
    did: arrived && (arrived.nowhere === undefined ? { to: arrived.to } : { nowhere: arrived.nowhere }),
    from: arrived?.from ?? user,
    displayName: arrived?.displayName ?? message.from.displayName,
    to: arrived?.number ?? gruu?.user ?? callee,
    get headers() {
      return firstValues(message);
    },
  };
  // Rules of the user's may take a while; the call waits for them, and can be cancelled.
  let waiting: Call | undefined;
  let isDecided = false;
  options.route(facts, nowMs, ({ decision }, now) => {
    if (isDecided) return;
    isDecided = true;
    if (waiting?.finalSent || waiting?.state === 'ended') return;
    if (decision.kind === 'reject') {
      if (waiting) reject(context, waiting, decision.status, decision.reason, now);
      else refuse(refused(decision.status, decision.reason), now);
      return;
    }
    const call = waiting ?? begin(now);
    call.only = gruu;
    carryOut(context, call, decision, now);
  });
  if (!isDecided) waiting = begin(nowMs);
}

/** Does what routing has decided with a call that has begun. */
export function carryOut(context: CallContext, call: Call, decision: Decision, nowMs: number): void {
  if (call.arrived && !call.transfer && (decision.kind === 'park' || decision.kind === 'pickup')) {
    reject(context, call, 403, 'that is for users of this server only', nowMs);
    return;
  }
  switch (decision.kind) {
    case 'ring':
      hunt(context, call, decision, nowMs);
      return;
    case 'echo':
      startEcho(context, call, nowMs);
      return;
    case 'park':
      if (call.transfer) park(context, call, decision.slot, nowMs);
      else fetchParked(context, call, decision.slot, nowMs);
      return;
    case 'pickup':
      pickUp(context, call, decision.user, nowMs);
      return;
    case 'room':
      reject(context, call, 501, `there are no rooms yet: ${decision.room}`, nowMs);
      return;
    case 'reject':
      reject(context, call, decision.status, decision.reason, nowMs);
      return;
    default:
      decision satisfies never;
  }
}

/** The first value of each header field. */
function firstValues(message: SipMessage): Record<string, string> {
  return Object.fromEntries(message.names().map((name) => [name, message.header(name) ?? '']));
}

/** A stranger whose number is the name of an account here is not taken for its user, in lists and by phones that call back. */
function noUserOfOurs({ options }: CallContext, arrived: Arrived | undefined): Arrived | undefined {
  if (!arrived || !options.isUser(arrived.from)) return arrived;
  return { ...arrived, from: `${arrived.from}@${arrived.trunk}` };
}

/** What is wrong with an INVITE itself. */
function inviteProblem(context: CallContext, message: SipMessage): { status: number; words: string } | undefined {
  const sdp = sdpOf(message);
  if (sdp === undefined && message.body.length > 0)
    return { status: 415, words: 'only application/sdp is understood in an INVITE' };
  const problem = sdp === undefined ? undefined : sdpProblem(sdp, context.options.encryption);
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
  of: {
    got: FirstInvite;
    arrived: Arrived | undefined;
    line: Line | undefined;
    user: string;
    callee: string;
    nowMs: number;
  },
): Call {
  const { message, id, flow } = of.got;
  const { arrived, user } = of;
  const call = newCall({
    id: newCallId(context),
    caller: arrived?.from ?? user,
    callee: of.callee,
    startedAtMs: of.nowMs,
    kind: 'user',
    invite: message,
    inviteTransaction: id,
    arrived,
  });
  const dialog = Dialog.ofInvite(message, { localTag: context.newTag(), flow, contact: context.options.contact });
  const a: Leg = newLeg(call, {
    dialog,
    user,
    instance: instanceOf(context, message),
    isWeb: isWebTransport(message.vias.at(-1)?.transport),
    isOutside: arrived && true,
    party: call.caller,
    isPrivate: isPrivate(call),
    mediaTag: context.newTag(),
  });
  noteAllow(a, message);
  a.profile = profileOf(sdpOf(message) ?? '');
  a.line = of.line;
  call.near = arrived ? undefined : context.pathOf(user);
  Object.assign(call, { a });
  context.addCall(call);
  context.addLeg(a);
  return call;
}
