import { createRequest, type SocketAddress } from '@offhook/core';
import { Dialog } from '../dialog/index.ts';
import type { Flow, SipTransportName } from '../transaction/index.ts';
import { type Call, type Leg, newCall, newLeg, trunkOf } from './call.ts';
import type { CallContext } from './context.ts';
import type { MediaProfile } from './media.ts';
import type { SessionTimer } from './session-timer.ts';

/** CSeq numbers that requests of ours may have used since the snapshot was written (RFC 3261 12.2.1.1: only upwards). */
const CSEQ_SLACK = 1000;

export interface FlowSnapshot {
  readonly transport: SipTransportName;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly account?: string;
}

export interface LegSnapshot {
  readonly mediaTag: string;
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  readonly localParty: string;
  readonly remoteParty: string;
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  readonly localCSeq: number;
  readonly remoteCSeq: number;
  readonly user: string;
  readonly instance?: string;
  readonly isWeb?: boolean;
  readonly isOutside?: boolean;
  /** It has a line of its trunk: out for that payer, or in. */
  readonly line?: { readonly payer?: string };
  readonly party?: string;
  readonly isPrivate?: boolean;
  readonly allows: readonly string[];
  readonly sent?: string;
  readonly profile?: MediaProfile;
  readonly session?: SessionTimer;
  readonly flow: FlowSnapshot;
}

/** All that an answered call needs to go on in another process: JSON, times in monotonic milliseconds. */
export interface CallSnapshot {
  readonly id: string;
  readonly caller: string;
  readonly callee: string;
  readonly kind: Call['kind'];
  readonly startedAtMs: number;
  readonly answeredAtMs: number;
  readonly ngCallId: string;
  readonly isTerminated?: boolean;
  readonly isUnrelayed?: boolean;
  readonly slot?: string;
  readonly note?: string;
  readonly sections: readonly string[];
  readonly inviteCSeq: number;
  readonly agreed?: { readonly offerer: 'a' | 'b'; readonly offer: string; readonly answer: string };
  readonly a: LegSnapshot;
  readonly b?: LegSnapshot;
}

/** The snapshot of a call, or undefined before it is answered and after its end: set-up is not carried over. */
export function snapshotOf(call: Call): CallSnapshot | undefined {
  const { agreed } = call;
  if (call.state !== 'answered' || call.ngCallId === undefined || call.answeredAtMs === undefined) return undefined;
  return {
    id: call.id,
    caller: call.caller,
    callee: call.callee,
    kind: call.kind,
    startedAtMs: call.startedAtMs,
    answeredAtMs: call.answeredAtMs,
    ngCallId: call.ngCallId,
    isTerminated: call.isTerminated,
    isUnrelayed: (call.isUnrelayed && !call.isTerminated) || undefined,
    slot: call.slot,
    note: call.note,
    sections: call.sections,
    inviteCSeq: call.invite.cseq.number,
    agreed: agreed && {
      offerer: agreed.offerer === call.a ? 'a' : 'b',
      offer: agreed.offer,
      answer: agreed.answer,
    },
    a: legSnapshot(call.a),
    b: call.b && legSnapshot(call.b),
  };
}

function legSnapshot(leg: Leg): LegSnapshot {
  const { dialog, flow } = leg;
  const { callId, localTag, remoteTag, localParty, remoteParty, remoteTarget, routeSet, localCSeq, remoteCSeq } =
    dialog;
  return {
    ...{ callId, localTag, remoteTag, localParty, remoteParty, remoteTarget, routeSet, localCSeq, remoteCSeq },
    mediaTag: leg.mediaTag,
    user: leg.user,
    instance: leg.instance,
    isWeb: leg.isWeb,
    isOutside: leg.isOutside,
    line: leg.line && { payer: leg.line.payer },
    party: leg.party,
    isPrivate: leg.isPrivate,
    allows: [...leg.allows],
    sent: leg.sent,
    profile: leg.profile,
    session: leg.session,
    flow: { transport: flow.transport, local: flow.local, remote: flow.remote, account: flow.account },
  };
}

/** Where a restored leg is reached: a datagram's flow at once, a connection not before its phone is back. */
export type Reach = (flow: FlowSnapshot) => { readonly flow: Flow; readonly isLost: boolean };

/** The call of a snapshot; the caller of this makes it known, with its legs and timers. */
export function restoredCall(context: CallContext, s: CallSnapshot, reach: Reach): Call {
  const call = newCall({
    id: s.id,
    caller: s.caller,
    callee: s.callee,
    startedAtMs: s.startedAtMs,
    answeredAtMs: s.answeredAtMs,
    state: 'answered',
    kind: s.kind,
    invite: createRequest({
      method: 'INVITE',
      uri: 'sip:restored.invalid',
      from: `${s.a.remoteParty};tag=${s.a.remoteTag}`,
      to: s.a.localParty,
      callId: s.a.callId,
      cseq: s.inviteCSeq,
    }),
    ngCallId: s.ngCallId,
    isTerminated: s.isTerminated,
    isUnrelayed: s.isUnrelayed ?? false,
    slot: s.slot,
    note: s.note,
    ringingSent: true,
    finalSent: true,
    sections: s.sections,
  });
  const a = restoredLeg(context, call, s.a, reach);
  const b = s.b && restoredLeg(context, call, s.b, reach);
  Object.assign(call, { a, b });
  if (b) {
    call.branches.push({ call, ngCallId: s.ngCallId, leg: b, state: 'answered', abandoned: false, strays: new Map() });
    if (s.agreed) {
      const { offer, answer } = s.agreed;
      call.agreed =
        s.agreed.offerer === 'a'
          ? { offerer: a, offer, answerer: b, answer }
          : { offerer: b, offer, answerer: a, answer };
    }
  }
  return call;
}

function restoredLeg(context: CallContext, call: Call, s: LegSnapshot, reach: Reach): Leg {
  const { flow, isLost } = reach(s.flow);
  const dialog = new Dialog({ ...s, flow, contact: context.options.contact });
  dialog.routeSet = s.routeSet;
  dialog.localCSeq = s.localCSeq + CSEQ_SLACK;
  dialog.remoteCSeq = s.remoteCSeq;
  const { user, instance, isWeb, isOutside, isPrivate, mediaTag } = s;
  const party = s.party ?? user; // not told by snapshots of older versions
  const leg = newLeg(call, { dialog, user, party, isPrivate, instance, isWeb, isOutside, mediaTag });
  for (const method of s.allows) leg.allows.add(method);
  leg.isLost = isLost;
  const trunk = trunkOf(leg);
  if (s.line && trunk !== undefined) leg.line = context.options.trunks.retake(trunk, s.line.payer);
  leg.sent = s.sent;
  leg.profile = s.profile;
  leg.session = s.session;
  return leg;
}
