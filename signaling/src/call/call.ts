import type { SipMessage } from '@offhook/core';
import type { Dialog } from '../dialog/index.ts';
import type { Gruu } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { Arrived, Line } from '../trunk/index.ts';
import type { Destination } from './destination.ts';
import type { Failure } from './failures.ts';
import type { FastUpdate } from './fast-update.ts';
import type { Hunt } from './hunt.ts';
import type { Agreement, MediaProfile, MediaSide } from './media.ts';
import type { EarlyDialog } from './prack.ts';
import type { Reliable } from './reliable.ts';
import type { SessionTimer } from './session-timer.ts';

type CallTimerKind =
  | 'ring'
  | 'still-ringing'
  | 'retransmit-2xx'
  | 'no-ack'
  | 'lost'
  | 'change'
  | 'check'
  | 'session'
  | 'again'
  | 'ours'
  | 'retransmit-1xx'
  | 'no-prack';

/** A deadline of a call or of one of its legs. */
export class CallTimer {
  readonly kind: CallTimerKind;
  readonly leg: Leg | undefined;
  readonly #call: Call | undefined;

  constructor(kind: CallTimerKind, of: { readonly call: Call } | { readonly leg: Leg }) {
    this.kind = kind;
    this.leg = 'leg' in of ? of.leg : undefined;
    this.#call = 'call' in of ? of.call : undefined;
  }

  /** That of its leg may change. */
  get call(): Call {
    return this.leg?.call ?? this.#call!;
  }
}

/** One side of a call. */
export interface Leg extends MediaSide {
  /** Another one after a transfer. */
  call: Call;
  readonly dialog: Dialog;
  /** Whose phone it is. */
  readonly user: string;
  readonly flow: Flow;
  /** Our tag of its dialog. */
  readonly tag: string;
  /** Its `+sip.instance`, when it names one: the same phone on another connection. */
  readonly instance?: string;
  /** The final 2xx that is repeated until its ACK comes (RFC 3261 13.3.1.4). */
  ok?: { transaction: string; response: SipMessage; intervalMs: number; cseq: number; beginsCall: boolean };
  /** Our ACK of the last INVITE we sent, for repeated 2xx. */
  ack?: { cseq: number; message: SipMessage };
  /** CSeq of an INVITE of ours whose 2xx is not acknowledged yet: the answer for the ACK is still to come. */
  unacknowledged?: number;
  /** Of a leg that is called: dialogs that reliable provisional responses have begun, by their To tag. */
  early?: Map<string, EarlyDialog>;
  /** Of the caller's leg: the provisional responses that it acknowledges. */
  reliable?: Reliable;
  /** Its connection is gone; it has the grace time to come back. */
  isLost: boolean;
  /** Methods its last Allow named. */
  readonly allows: Set<string>;
  /** The description that it has from us. */
  sent?: string;
  session?: SessionTimer;
  /** Of the caller's leg: our tags of early dialogs that it had before this one. */
  formerTags?: string[];
  /** Tag of its phone before that has answered. */
  earlyTag?: string;
  /** It has sent a REFER before. */
  referred?: boolean;
  /** We have called it; else it has called us. */
  readonly isCalled?: true;
  /** Since when its session lasts that is to be counted; not of one that another process had before. */
  establishedMs?: number;
  /** Who it is in call lists and to routing: an account, or the number or address of somebody elsewhere. */
  readonly party: string;
  /** The other side is not to be told who it is. */
  readonly isPrivate?: boolean;
  /** The status with which its phone refused SRTP before it was called anew with plain RTP. */
  refusedSrtp?: number;
  /** It goes to another server, not to a phone that registers here. */
  readonly isOutside?: boolean;
  /** The line of a trunk that it has. */
  line?: Line;
  /** What our newest INVITE proved the password with: its ACK says the same (RFC 3261 13.2.2.4). */
  proof?: { readonly cseq: number; readonly header: readonly [string, string] };
  /** Its phone was asked for a key frame. */
  fastUpdate?: FastUpdate;
  /** What waits for a better moment (`timers.again`): called by `tryAgain`. */
  again?: ((nowMs: number) => void) | undefined;
  /** Ends a request of ours that takes too long (`timers.ours`). */
  cancelOurs?: ((nowMs: number) => void) | undefined;
  readonly timers: Readonly<
    Record<'retransmit' | 'noAck' | 'lost' | 'session' | 'again' | 'ours' | 'provisional' | 'noPrack', CallTimer>
  >;
}

/** An attempt to reach one contact of who is called, or a leg of another call. */
export interface Branch {
  readonly call: Call;
  readonly ngCallId: string;
  readonly leg: Leg;
  /** Where its INVITE goes. */
  readonly destination?: Destination;
  /** Its leg is in another call already. */
  readonly fetched?: Fetched;
  state: 'offering' | 'inviting' | 'answered' | 'failed';
  transaction?: string;
  /** When its first INVITE was sent, and when it was heard of first. */
  invitedMs?: number;
  toldMs?: number;
  /** Nobody wants it any more: cancelled, or another branch was quicker. */
  abandoned: boolean;
  /** What its phone is offered; not told where it gets the caller's own description, and of a browser. */
  readonly offered?: MediaProfile;
  /** What its phone may be offered when it refuses what it was; none left in the end. */
  readonly otherProfiles?: readonly MediaProfile[];
  /** Its phone was heard of. */
  hasRung?: boolean;
  failure?: Failure;
  /** The NG answer for early media has been asked for; the 2xx needs none then unless its description differs. */
  earlySdp?: string;
  earlyAnswer?: string;
  /** ACKs of further answers to the same INVITE, by To tag: a server behind the contact had forked it. */
  readonly strays: Map<string, SipMessage>;
}

/** A re-INVITE, or an UPDATE or PRACK with an offer, on its way through us. */
export interface Renegotiation {
  readonly from: Leg;
  /** None in a call to the echo. */
  readonly to: Leg | undefined;
  readonly serverTransaction: string;
  readonly request: SipMessage;
  clientTransaction?: string;
  clientCSeq?: number;
  /** What the relay was asked to change; it has to be taken back when the change comes to nothing. */
  offer?: string;
  cancelled: boolean;
  /** The other side is away; the change is passed on when it is back. */
  postponed: boolean;
  /** The other side makes the offer (re-INVITE without description). */
  readonly late: boolean;
}

/** A leg's way, at the relay, into the call that is to come of a transfer. */
export interface Move {
  state: 'stays' | 'asked' | 'moved';
  /** Who wants to hear of it. */
  readonly waiting: ((problem: string | undefined, nowMs: number) => void)[];
}

/** A transfer that this server completes: the call that is to come of it. */
export interface Transfer {
  /** Who asked, and the call it wants to leave. */
  readonly by: Leg;
  readonly old: Call;
  /** Of the NOTIFYs that tell it; none when it wants to hear nothing. */
  readonly event: string | undefined;
  /** The last NOTIFY is sent. */
  isOver: boolean;
  /** Of who is transferred. */
  readonly move: Move;
}

/** A leg of another call that becomes the other side of this one: attended transfer, pick-up, parking, Replaces. */
export interface Fetched {
  /** The call it is in until then. */
  readonly from: Call;
  /** Who leaves that call by it. */
  readonly leaving?: Leg;
  /** What the leg had from us before it was given another description. */
  before?: string;
  readonly move: Move;
  /** It stays where it is; told once. */
  onFailed?: (words: string, nowMs: number) => void;
}

/** `parked`: its one phone waits in silence. */
export type CallKind = 'user' | 'echo' | 'parked';

export type CallState = 'setup' | 'ringing' | 'answered' | 'ended';

export interface Call {
  readonly id: string;
  readonly caller: string;
  readonly callee: string;
  readonly startedAtMs: number;
  answeredAtMs?: number;
  /** When the caller was first told anything but 100. */
  toldMs?: number;
  state: CallState;
  kind: CallKind;
  /** The INVITE that began it and its server transaction. */
  readonly invite: SipMessage;
  readonly inviteTransaction: string;
  readonly a: Leg;
  b?: Leg;
  branches: Branch[];
  /** Who else is to be rung, and how those who were did not answer. */
  hunt?: Hunt;
  /** The one phone of a user that it is for (RFC 5627). */
  only?: Gruu;
  /** Where its one phone is parked. */
  slot?: string;
  /** The ringing call that its phone is to get. */
  pickingUp?: Call;
  /** A call whose relay is to be this one's too, for legs may move between them. */
  near?: string;
  /** What its record says beside how it ended. */
  note?: string;
  /** Its media ends at the relay on both sides, whatever they are: a phone that was moved keeps its keys. */
  isTerminated?: boolean;
  /** Once it is answered: its phones send media to each other, the relay does not know it. */
  isUnrelayed?: boolean;
  /** The relay's name of the call once it is settled. */
  ngCallId?: string;
  renegotiation?: Renegotiation;
  /** A re-INVITE or UPDATE of our own is under way there. */
  refreshing?: Leg;
  /** It came over a trunk. */
  readonly arrived?: Arrived;
  /** It came of a transfer, not of an INVITE. */
  readonly transfer?: Transfer;
  /** The call that takes a leg of this one away: what is to come of a transfer, a pick-up, a fetch. */
  pending?: Call;
  /** The caller's INVITE had no description: the offer came from the other side, its answer comes in the ACK. */
  lateOffer: boolean;
  awaitingAnswerInAck?: { leg: Leg; ackCSeq: number; peer: Leg; offer: string };
  ringingSent: boolean;
  /** Whose early media the caller has been told of, under the tag that its leg has now. */
  earlyFrom?: Branch;
  readonly ring: CallTimer;
  /** Time to tell the caller again that it rings. */
  readonly stillRinging: CallTimer;
  /** The other side takes too long over a change. */
  readonly change: CallTimer;
  /** Time to ask the relay whether it still has the call. */
  readonly check: CallTimer;
  /** Its relay is gone, and it is on its way to another one; in vain when that is gone meanwhile too. */
  reanchoring?: { tries: number; isVain: boolean };
  /** Its relay has gone before it was answered. */
  hasLostRelay?: true;
  /** What both sides last agreed upon: a refused change leads back to it. */
  agreed?: Agreement;
  /** The most m= lines that the relay has seen of this call; a session never has fewer (RFC 3264 8). */
  sections: readonly string[];
  /** Our answer to the caller once it is final. */
  finalSent: boolean;
  /** Why it was given up while phones were still ringing: what its record says once they have stopped. */
  givenUp?: { readonly status: number; readonly words: string };
}

/** A call that is to be set up; its caller's leg `a` comes right after it, unless it is among the parts. */
export function newCall(
  parts: Pick<Call, 'id' | 'caller' | 'callee' | 'startedAtMs' | 'kind' | 'invite'> & Partial<Call>,
): Call {
  const call = {
    state: 'setup',
    inviteTransaction: '',
    branches: [],
    lateOffer: false,
    ringingSent: false,
    finalSent: false,
    sections: [],
    ...parts,
  } as unknown as Call;
  return Object.assign(call, {
    ring: new CallTimer('ring', { call }),
    stillRinging: new CallTimer('still-ringing', { call }),
    change: new CallTimer('change', { call }),
    check: new CallTimer('check', { call }),
  });
}

type LegParts = Pick<
  Leg,
  'dialog' | 'user' | 'party' | 'isPrivate' | 'instance' | 'isWeb' | 'isOutside' | 'isCalled' | 'mediaTag'
>;

/** A leg of that call; the layer has to know it before it is used (`CallContext.addLeg`). */
export function newLeg(call: Call, parts: LegParts): Leg {
  return new DialogLeg(call, parts);
}

class DialogLeg {
  call: Call;
  readonly dialog: Dialog;
  readonly user: string;
  readonly party: string;
  readonly isPrivate: boolean | undefined;
  readonly instance: string | undefined;
  readonly isWeb: boolean | undefined;
  readonly isOutside: boolean | undefined;
  readonly isCalled: true | undefined;
  readonly mediaTag: string;
  isLost = false;
  readonly allows = new Set<string>();
  readonly timers: Leg['timers'];

  constructor(call: Call, parts: LegParts) {
    this.call = call;
    this.dialog = parts.dialog;
    this.user = parts.user;
    this.party = parts.party;
    this.isPrivate = parts.isPrivate;
    this.instance = parts.instance;
    this.isWeb = parts.isWeb;
    this.isOutside = parts.isOutside;
    this.isCalled = parts.isCalled;
    this.mediaTag = parts.mediaTag;
    const of = { leg: this };
    this.timers = {
      retransmit: new CallTimer('retransmit-2xx', of),
      noAck: new CallTimer('no-ack', of),
      lost: new CallTimer('lost', of),
      session: new CallTimer('session', of),
      again: new CallTimer('again', of),
      ours: new CallTimer('ours', of),
      provisional: new CallTimer('retransmit-1xx', of),
      noPrack: new CallTimer('no-prack', of),
    };
  }

  get tag(): string {
    return this.dialog.localTag;
  }

  get flow(): Flow {
    return this.dialog.flow;
  }
}

/** The leg at the other end; none in a call to the echo. */
export function otherLeg(leg: Leg): Leg | undefined {
  const { call } = leg;
  return leg === call.a ? call.b : call.a;
}

/** A leg as words for the other side name it. */
export function spoken(leg: Leg): string {
  return leg.isPrivate ? 'the caller' : leg.party;
}

/** The trunk that a leg goes over, undefined when it goes over none. No account's name has a space in it. */
export function trunkOf({ user }: Leg): string | undefined {
  return /^trunk (.*)$/.exec(user)?.[1];
}
