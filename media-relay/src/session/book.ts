import { Deadlines, isSdpError, parseSdp, readU32, type SessionDescription } from '@offhook/core';
import { applyRemote, arrange, closeLeg, usableSections, wire } from './build.ts';
import { Call, type OnKey, type OnKeyFrameWish } from './call.ts';
import { connectLeg } from './connect.ts';
import { mirror } from './echo.ts';
import { activate, addFork, farLeg } from './fork.ts';
import { isHeld, noteHold } from './hold.ts';
import type { MediaHost } from './host.ts';
import type { RtpInterface } from './interfaces.ts';
import { sameKind } from './kind.ts';
import { Leg, type PortPair } from './leg.ts';
import { decideAnswersMux, type LocalOptions, saysRtcpMux, writeLocal } from './local.ts';
import { makePlan, type Plan } from './plan.ts';
import { settleRed } from './red.ts';
import { rejectionOf } from './rejection.ts';
import type { DescribeRequest, DescribeResult, Warning } from './request.ts';
import { settleSimulcast } from './simulcast.ts';

export interface BookOptions {
  /** A call without any packet (and signalling) for this long is deleted. */
  readonly mediaTimeoutMs: number;
  readonly maxCalls: number;
  /** A call is over, its ports are closed. */
  readonly onEnded?: (call: Call, reason: 'deleted' | 'timeout') => void;
  /** A peer has pressed a key (RFC 4733). */
  readonly onKey?: OnKey;
  readonly onKeyFrameWish?: OnKeyFrameWish;
}

/** An offer may ring this long without media: timer C of the SIP proxy (RFC 3261 16.6) and some. */
const UNANSWERED_MS = 240_000;
/** A call on hold may be silent this long. */
const HELD_MS = 3_600_000;
const SWEEP_MS = 5_000;
/** A client can tell from these two that nothing is wrong with its description. */
export const NO_PORTS = 'all RTP ports of this relay are in use';
export const NO_ROOM = 'this relay has no room for another call';

/** All calls of a worker: SDP in, SDP out, and the transports between. Synchronous; port pairs are handed in. */
export class SessionBook {
  readonly #host: MediaHost;
  readonly #options: BookOptions;
  readonly #calls = new Map<string, Call>();
  readonly #deadlines = new Deadlines<Call>();
  created = 0;
  timedOut = 0;
  /** Ended by `delete`. */
  deleted = 0;

  constructor(host: MediaHost, options: BookOptions) {
    this.#host = host;
    this.#options = options;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** No further call is taken. */
  get isFull(): boolean {
    return this.#calls.size >= this.#options.maxCalls;
  }

  find(callId: string): Call | undefined {
    return this.#calls.get(callId);
  }

  calls(): IterableIterator<Call> {
    return this.#calls.values();
  }

  /** Where the port pairs have to be that the next `offer` or `echo` is handed, or the reason why it would fail. */
  pairsFor(request: DescribeRequest, isEcho: boolean): readonly RtpInterface[] | { readonly error: string } {
    const plan = this.#plan(request, isEcho);
    return 'error' in plan ? plan : plan.pairs;
  }

  /** The peer `fromTag` offers: the answer is the description for the far peer. Pairs left over stay in `pairs`. */
  offer(request: DescribeRequest, pairs: PortPair[], nowMs: number): DescribeResult {
    const plan = this.#plan(request, false);
    if ('error' in plan) return plan;
    const call = plan.call ?? this.#open(request, plan, nowMs);
    const from = call.leg(request.fromTag)!;
    if (from !== call.legs[0]) activate(call, from);
    const to = plan.to ?? (plan.call ? addFork(call, plan.toKind) : call.other(from));
    to.branch ??= request.branch;
    from.label = request.label ?? from.label;
    from.dtlsRole = request.dtlsReverse ?? from.dtlsRole;
    to.dtlsRole = request.dtlsRole ?? to.dtlsRole;
    from.interface ??= plan.fromInterface;
    to.interface ??= plan.toInterface;
    from.network ??= plan.fromNetwork;
    to.network ??= plan.toNetwork;
    call.endsAtMs = undefined;
    if (!sameKind(from.kind, plan.fromKind)) closeLeg(this.#host, from);
    if (!sameKind(to.kind, plan.toKind)) closeLeg(this.#host, to);
    from.kind = plan.fromKind;
    to.kind = plan.toKind;
    if (request.toTag !== undefined) to.tag = request.toTag;
    call.warning = plan.warning;
    call.offerer = from;
    const problem =
      this.#take(call, from, { request, plan, pairs, nowMs, role: 'offer' }) ?? this.#arrange(call, to, plan, pairs);
    if (problem) return this.#refuse(call, plan.call === undefined, problem);
    nameSections(to, from);
    decideAnswersMux(from, request);
    settleRtcpMux(call, to, { request, role: 'offer' });
    wire(this.#host, call);
    if (call.answered) signalled(from, nowMs);
    const sdp = writeLocal(this.#host, call, to, { far: from.remote!, request, role: 'offer' });
    return { sdp, warnings: warningsOf(plan) };
  }

  /** The peer `toTag` answers the standing offer of `fromTag`: the answer is the description for the offerer. */
  answer(request: DescribeRequest, nowMs: number): DescribeResult {
    const call = this.#calls.get(request.callId);
    if (!call || call.echo) return { error: 'no offer with this call-id stands' };
    const from = call.leg(request.fromTag);
    if (!from || from !== call.offerer) return { error: 'from-tag is not that of the peer whose offer stands' };
    if (request.toTag === undefined) return { error: 'to-tag is missing' };
    const to = farLeg(call, from, request) ?? call.other(from);
    const sd = parseSdp(request.sdp);
    if (isSdpError(sd)) return { error: sd.reason };
    if (sd.media.length > to.sections.length) return { error: 'the answer has more media sections than the offer' };
    padRejected(sd, from.remote!);
    if (to.tag !== undefined && to.tag !== request.toTag) forgetPeer(to);
    to.tag = request.toTag;
    if (to !== call.other(from)) activate(call, to);
    to.label = request.label ?? to.label;
    call.endsAtMs = undefined;
    this.#setSource(to, request);
    const usable = usableSections(sd, to.kind, call.opaque);
    const active = to.sections.map((section, i) => section.active && usable[i]!);
    if (call.opaque && active.some((isActive, i) => !isActive && sd.media[i]!.port !== 0)) {
      return { error: 'the opaque path needs BUNDLE over all media sections' };
    }
    call.lastSignalMs = nowMs;
    const media = sd.media.map((m) => m.kind);
    const warnings = noteRejections([from, to], sd, usable);
    arrange(this.#host, call, from, { active, media, pairs: [] });
    arrange(this.#host, call, to, { active, media, pairs: [] });
    for (const section of to.sections) {
      const muxed = section.transport?.latch && sd.media[section.index]!.attributes.some((a) => a.name === 'rtcp-mux');
      if (section.transport?.latch && !muxed) section.transport.rtcpMux = false;
    }
    if (call.answered) noteHold(to, sd);
    const problem = applyRemote(this.#host, call, to, { sd, role: 'answer', nowMs });
    if (problem) return { error: problem };
    call.answered = true;
    settleRed(to, sd);
    settleSimulcast(from, sd);
    settleRtcpMux(call, from, { request, role: 'answer' });
    wire(this.#host, call);
    for (const leg of call.legs) signalled(leg, nowMs);
    return { sdp: writeLocal(this.#host, call, from, { far: to.remote!, request, role: 'answer' }), warnings };
  }

  /** The peer offers and hears itself, or nothing (`silent`): the answer is ours. */
  echo(request: DescribeRequest, pairs: PortPair[], nowMs: number): DescribeResult {
    const plan = this.#plan(request, true);
    if ('error' in plan) return plan;
    const call = plan.call ?? this.#open(request, plan, nowMs);
    const leg = call.legs[0]!;
    leg.interface ??= plan.fromInterface;
    leg.network ??= plan.fromNetwork;
    if (!sameKind(leg.kind, plan.fromKind)) closeLeg(this.#host, leg);
    leg.kind = plan.fromKind;
    const problem = this.#take(call, leg, { request, plan, pairs, nowMs, role: 'offer' });
    if (problem) return this.#refuse(call, plan.call === undefined, problem);
    const mask = leg.transports().find((t) => t.ssrcMask !== 0)?.ssrcMask ?? this.#mask();
    for (const transport of leg.transports()) transport.ssrcMask = mask;
    call.answered = true;
    settleSimulcast(leg, leg.remote!);
    settleRtcpMux(call, leg, { request, role: 'answer' });
    wire(this.#host, call);
    signalled(leg, nowMs);
    const far = mirror(leg.remote!, mask);
    return { sdp: writeLocal(this.#host, call, leg, { far, request, role: 'answer' }), warnings: plan.warnings };
  }

  /** Moves a leg into another call; see `connectLeg`. */
  connect(move: { callId: string; fromCallId: string; tag: string }, nowMs: number): { error: string } | undefined {
    const to = this.#calls.get(move.callId);
    const from = this.#calls.get(move.fromCallId);
    if (!to || !from || to === from) return { error: 'Unknown call-id' };
    const problem = connectLeg(this.#host, move.tag, from, to);
    if (problem !== undefined) return { error: problem };
    to.lastSignalMs = nowMs;
    from.lastSignalMs = nowMs;
    return undefined;
  }

  /** The peer is asked for a key frame, once a second as for anybody. The words why not, or undefined. */
  requestKeyFrame(callId: string, tag: string, nowMs: number): string | undefined {
    const call = this.#calls.get(callId);
    const leg = call?.leg(tag);
    if (!call || !leg) return 'Unknown call-id or tag';
    if (call.opaque) return 'this call passes unread';
    const video = leg.sections.find((s) => s.active && s.media === 'video')?.transport;
    const source = video?.simulcast ? video.simulcast.source : video?.rates?.pictureSource;
    if (!video?.repair || source === undefined) return 'that peer sends no pictures';
    video.repair.handleKeyFrameWish(source, nowMs);
    return undefined;
  }

  /** Ends a call; false when there is none, or the tag is not one of its. */
  delete(callId: string, tag: string | undefined): boolean {
    const call = this.#calls.get(callId);
    if (!call || (tag !== undefined && !call.leg(tag))) return false;
    this.#delete(call);
    return true;
  }

  /** Ends a fork branch, or the call when that is its last one; with a delay all of it later, unless it is offered anew. */
  end(call: Call, leg: Leg | undefined, delayMs: number, nowMs: number): void {
    if (leg && call.forks.length > 0 && leg !== call.legs[0]) this.#endFork(call, leg);
    else if (delayMs <= 0) this.#delete(call);
    else {
      call.endsAtMs = nowMs + delayMs;
      this.#deadlines.set(call, Math.min(call.endsAtMs, nowMs + this.#sweepMs()));
    }
  }

  close(): void {
    for (const call of [...this.#calls.values()]) this.#close(call, 'deleted');
  }

  #endFork(call: Call, leg: Leg): void {
    if (leg === call.legs[1]) activate(call, call.forks[0]!);
    call.forks.splice(call.forks.indexOf(leg), 1);
    closeLeg(this.#host, leg);
    wire(this.#host, call);
  }

  nextTimeout(): number | undefined {
    return this.#deadlines.next();
  }

  handleTimeout(nowMs: number): void {
    for (let call = this.#deadlines.expire(nowMs); call; call = this.#deadlines.expire(nowMs)) {
      for (const leg of call.everyLeg()) if (leg.ice) this.#host.ice.checkConsent(leg.ice, nowMs);
      const endsAtMs = call.endsAtMs ?? Number.POSITIVE_INFINITY;
      if (nowMs >= endsAtMs) this.#delete(call);
      else if (nowMs - Math.max(call.lastSignalMs, call.lastPacketMs()) >= this.#patience(call)) {
        this.timedOut++;
        this.#close(call, 'timeout');
      } else this.#deadlines.set(call, Math.min(endsAtMs, nowMs + this.#sweepMs()));
    }
  }

  #sweepMs(): number {
    return Math.min(SWEEP_MS, this.#options.mediaTimeoutMs / 4);
  }

  #patience(call: Call): number {
    const { mediaTimeoutMs } = this.#options;
    if (!call.answered) return Math.max(mediaTimeoutMs, UNANSWERED_MS);
    return isHeld(call) ? Math.max(mediaTimeoutMs, HELD_MS) : mediaTimeoutMs;
  }

  #delete(call: Call): void {
    this.deleted++;
    this.#close(call, 'deleted');
  }

  #close(call: Call, reason: 'deleted' | 'timeout'): void {
    for (const leg of call.everyLeg()) closeLeg(this.#host, leg);
    this.#deadlines.delete(call);
    this.#calls.delete(call.id);
    this.#options.onEnded?.(call, reason);
  }

  #refuse(call: Call, isNew: boolean, error: string): { error: string } {
    if (isNew) this.#close(call, 'deleted');
    return { error };
  }

  #open(request: DescribeRequest, plan: Plan, nowMs: number): Call {
    const from = new Leg(request.fromTag, plan.fromKind);
    const legs = plan.isEcho ? [from] : [from, new Leg(request.toTag, plan.toKind)];
    const call = new Call(request.callId, legs, {
      opaque: plan.opaque,
      echo: plan.isEcho,
      silent: plan.isEcho && request.silent,
      nowMs,
    });
    call.onKey = this.#options.onKey;
    call.onKeyFrameWish = this.#options.onKeyFrameWish;
    this.#calls.set(call.id, call);
    this.#deadlines.set(call, nowMs + this.#sweepMs());
    this.created++;
    return call;
  }

  #plan(request: DescribeRequest, isEcho: boolean): Plan | { error: string } {
    const call = this.#calls.get(request.callId);
    if (!call && this.isFull) return { error: NO_ROOM };
    return makePlan(this.#host, request, { call, isEcho });
  }

  #take(call: Call, leg: Leg, input: TakeInput): string | undefined {
    const { request, plan, pairs, nowMs, role } = input;
    call.lastSignalMs = nowMs;
    this.#setSource(leg, request);
    if (call.answered) noteHold(leg, plan.sd);
    const problem = this.#arrange(call, leg, plan, pairs);
    const preferred = request.sdes?.preferred;
    const remote = { sd: plan.sd, role, standIn: request.standIn, preferred, nowMs };
    return problem ?? applyRemote(this.#host, call, leg, remote);
  }

  #arrange(call: Call, leg: Leg, plan: Plan, pairs: PortPair[]): string | undefined {
    const media = plan.sd.media.map((m) => m.kind);
    return arrange(this.#host, call, leg, { active: plan.active, media, pairs }) ? undefined : NO_PORTS;
  }

  #setSource(leg: Leg, request: DescribeRequest): void {
    leg.receivedFrom = request.receivedFrom ?? leg.receivedFrom;
    leg.trustAddress = request.trustAddress;
  }

  #mask(): number {
    return (readU32(this.#host.crypto.randomBytes(4), 0) | 1) >>> 0;
  }
}

interface TakeInput {
  readonly request: DescribeRequest;
  readonly plan: Plan;
  readonly pairs: PortPair[];
  readonly nowMs: number;
  readonly role: 'offer' | 'answer';
}

function warningsOf({ warning, warnings }: Plan): readonly Warning[] {
  return warning === undefined ? warnings : [{ about: 'opaque', words: warning }, ...warnings];
}

/** Keeps for `query`, and tells, why sections of an answer are turned off that its peer wants. */
function noteRejections([from, to]: [Leg, Leg], sd: SessionDescription, usable: readonly boolean[]): Warning[] {
  return to.sections.flatMap((section, i) => {
    const wasOffered = section.active || section.rejection !== undefined;
    const reason = wasOffered && !usable[i] ? rejectionOf(sd.media[i]!, sd, to.kind) : undefined;
    if (reason === undefined) return [];
    section.rejection = reason;
    from.sections[i]!.rejection = reason;
    return [{ about: 'answer', words: `section ${i + 1}: ${reason}` }];
  });
}

/** An answer with fewer sections than the offer rejects the others. */
function padRejected(answer: SessionDescription, offer: SessionDescription): void {
  for (const media of offer.media.slice(answer.media.length)) {
    answer.media.push({
      ...media,
      port: 0,
      portCount: undefined,
      formats: [...media.formats],
      bandwidth: [],
      attributes: [],
    });
  }
}

/** Sections we offer over ICE have a mid: the one they have, else that of the far peer. */
function nameSections(leg: Leg, far: Leg): void {
  if (!leg.kind.ice) return;
  for (const section of leg.sections) section.mid ??= far.sections[section.index]?.mid ?? String(section.index);
}

/** What we are about to say of rtcp-mux on plain ports takes effect. An offered one only when it is accepted. */
function settleRtcpMux(call: Call, leg: Leg, options: LocalOptions): void {
  for (const section of leg.sections) {
    const { transport } = section;
    if (!transport?.latch) continue;
    transport.rtcpMux = saysRtcpMux(call, leg, section, options);
    if (options.role === 'answer' && transport.rtcpMux) transport.sendVia(transport.port, transport.remote); // RTCP follows
  }
}

/** The peer knows its plain ports: from now on it may speak from another port than it said. */
function signalled(leg: Leg, nowMs: number): void {
  for (const { transport } of leg.sections) transport?.latch?.signalled(nowMs);
}

/** Another device answered the same offer: what the first one had is void. */
function forgetPeer(leg: Leg): void {
  for (const { transport } of leg.sections) {
    transport?.latch?.expect(undefined, []);
    transport?.rtcpLatch?.expect(undefined, []);
    if (leg.kind.security !== 'sdes' || !transport) continue;
    transport.rx?.close(); // ours goes on: the other device has the same offer with the same key
    transport.rx = undefined;
  }
}
