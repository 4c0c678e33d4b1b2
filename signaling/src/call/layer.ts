import { Deadlines, hex, type NgDictionary, type SipMessage } from '@offhook/core';
import type { NgResult } from '../media/index.ts';
import type { Binding } from '../registrar/index.ts';
import type { Flow, TransactionCommand } from '../transaction/index.ts';
import { Byes } from './byes.ts';
import type { Call, CallTimer, Leg } from './call.ts';
import { CallTable } from './call-table.ts';
import { followPhone, loseConnection } from './connection.ts';
import {
  CALL_LIMITS,
  type CallContext,
  type CallLayerOptions,
  type CallLimits,
  type ClientHandler,
} from './context.ts';
import { dispatch } from './dispatch.ts';
import { requestPicture } from './fast-update.ts';
import { fetchedGone, returnFetched } from './fetch.ts';
import { CallFigures } from './figures.ts';
import { handleAck } from './in-dialog.ts';
import { LegTable } from './leg-table.ts';
import { deleteCommand } from './media.ts';
import { giveUp } from './outcome.ts';
import { findAgain } from './outside.ts';
import { reanchor } from './reanchor.ts';
import { tryAgain } from './rejoin.ts';
import { type RelayCommand, RelayCommands } from './relay-commands.ts';
import { resetReliable, stopReliable } from './reliable.ts';
import { cancelRenegotiation, endRenegotiation } from './renegotiate.ts';
import { armSession } from './session-timer.ts';
import { type CallSnapshot, type Reach, restoredCall, snapshotOf } from './snapshot.ts';
import { startCall } from './start.ts';
import { afterTheCall } from './stray.ts';
import { type CallSummary, type RelayedCall, relayedCall, summarise, talkedIn } from './summary.ts';
import { fire } from './timers.ts';
import { returnTransferred } from './transfer.ts';

/** What the layer wants done beside the requests and answers it hands to the transactions. */
export type CallCommand =
  | RelayCommand
  | { readonly kind: 'remember'; readonly call: CallSnapshot }
  | { readonly kind: 'progress'; readonly call: CallSummary }
  /** `phones`: those that talked in it to the end, by the Call-IDs that they know it by. */
  | {
      readonly kind: 'ended';
      readonly call: CallSummary;
      readonly phones: readonly { readonly user: string; readonly callId: string }[];
    };

/** Calls of one user that are kept at one relay, so that they can be joined; more are spread. */
const FEW = 4;

/**
 * The back-to-back user agent (RFC 3261 6): each call has a caller's leg and branches towards the called user's phones,
 * each a dialog of its own, joined by the media relay. Pure: requests and responses come from the transactions, media
 * results by `handleMedia`, time by `handleTimeout`; commands are polled.
 */
export class CallLayer implements CallContext {
  readonly options: CallLayerOptions;
  readonly limits: CallLimits;
  readonly counters = new CallFigures();
  readonly byes: Byes = new Byes(this);
  readonly #calls = new CallTable();
  readonly #legs = new LegTable();
  readonly #clients = new Map<string, ClientHandler>();
  readonly #deadlines = new Deadlines<CallTimer>();
  readonly #commands: CallCommand[] = [];
  readonly #relay = new RelayCommands(this.#commands);
  readonly #changed = new Set<Call>();

  constructor(options: CallLayerOptions) {
    this.options = options;
    this.limits = options.limits ?? CALL_LIMITS;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Dialogs, early ones included. */
  get dialogs(): number {
    return this.#legs.size;
  }

  /** What is kept beside calls and dialogs: BYEs under way, requests of ours and commands that wait for their answers. */
  get remnants(): number {
    return this.#legs.former + this.byes.size + this.#clients.size + this.#relay.size;
  }

  calls(): CallSummary[] {
    return this.#calls.all().map((call) => summarise(call, this.options.mediaPath));
  }

  /** The calls whose media relays have. */
  relayed(): RelayedCall[] {
    return this.#calls.all().flatMap((call) => relayedCall(call, this.options.mediaPath) ?? []);
  }

  /** The answered call that a phone of that user knows by that Call-ID. */
  callOf(user: string, callId: string): CallSummary | undefined {
    const leg = this.#legs.ofPhoneCall(user, callId);
    if (leg?.call.state !== 'answered' || (leg !== leg.call.a && leg !== leg.call.b)) return undefined;
    return summarise(leg.call, this.options.mediaPath);
  }

  poll(): CallCommand | undefined {
    for (const call of this.#changed) {
      this.#changed.delete(call);
      const snapshot = snapshotOf(call);
      if (snapshot) this.#commands.push({ kind: 'remember', call: snapshot });
    }
    return this.#commands.shift();
  }

  /** Takes an answered call over from a process that died; its phones need not notice. */
  restore(snapshot: CallSnapshot, reach: Reach, nowMs: number): void {
    const call = restoredCall(this, snapshot, reach);
    this.#calls.add(call);
    this.setTimer(call.check, nowMs + this.limits.checkMs);
    for (const leg of [call.a, call.b]) {
      if (!leg) continue;
      this.addLeg(leg);
      if (leg.isLost) this.setTimer(leg.timers.lost, nowMs + this.limits.graceMs);
      if (leg.isLost) findAgain(this, leg, nowMs);
      if (leg.session) armSession(this, leg, leg.session, nowMs);
    }
    this.counters.restored++;
  }

  changed(call: Call): void {
    if (call.state === 'answered') this.#changed.add(call);
  }

  nextTimeout(): number | undefined {
    return this.#deadlines.next();
  }

  /** Whether a request with a To tag belongs to one of our dialogs: such requests are let in without a new challenge. */
  ownsDialog(request: SipMessage): boolean {
    return this.#legs.knows(request) || this.byes.find(request) !== undefined;
  }

  /** Whose dialog a request belongs to, and where its phone was reached last; other servers come from where they like. */
  homeOf(request: SipMessage): { readonly flow: Flow; readonly user: string } | undefined {
    const leg = this.#legs.find(request);
    return leg === undefined || leg.isOutside ? undefined : { flow: leg.dialog.flow, user: leg.user };
  }

  /** Whatever the transactions report; requests here are INVITEs, or belong to a dialog. */
  handle(command: Exclude<TransactionCommand, { kind: 'send' }>, nowMs: number): void {
    switch (command.kind) {
      case 'request':
        this.#handleRequest(command, nowMs);
        return;
      case 'ack':
        this.#handleAck(command.message, nowMs);
        return;
      case 'cancel':
        this.#handleCancel(command.id, nowMs);
        return;
      case 'response': {
        const { status, method } = command.message;
        const handler = this.#clients.get(command.id);
        // Only a 2xx to an INVITE may come again; who waited for another answer need not be kept until its transaction ends.
        if (status >= 300 || (status >= 200 && method !== 'INVITE')) this.#clients.delete(command.id);
        handler?.response(command.message, command.flow, nowMs);
        return;
      }
      case 'timeout':
      case 'transport-error':
        this.#clients.get(command.id)?.failed(command.kind, nowMs);
        return;
      case 'terminated':
        this.#clients.delete(command.id);
        this.byes.handleTerminated(command.id);
        return;
      default:
        command satisfies never;
    }
  }

  handleMedia(id: number, result: NgResult, nowMs: number): void {
    this.#relay.handleResult(id, result, nowMs);
  }

  handleTimeout(nowMs: number): void {
    for (let timer = this.#deadlines.expire(nowMs); timer; timer = this.#deadlines.expire(nowMs))
      fire(this, timer, nowMs);
  }

  /** The connection of some phones is gone. */
  handleFlowClosed(flow: Flow, nowMs: number): void {
    for (const leg of this.#legs.onFlow(flow)) loseConnection(this, leg, nowMs);
  }

  /** A phone has registered: its calls may follow it to another connection. */
  handleRegistered(binding: Binding, nowMs: number, before?: Binding): void {
    const legs = [...this.#legs.ofPhone(binding), ...this.byes.owedTo(binding)];
    followPhone(this, legs, { binding, before }, nowMs);
  }

  /** A media relay is gone, with the calls of these names: they go on at another one. */
  handleRelayLost(ngCallIds: ReadonlySet<string>, nowMs: number): void {
    const calls = this.#calls.all().filter(({ ngCallId }) => ngCallId !== undefined && ngCallIds.has(ngCallId));
    reanchor(this, calls, nowMs);
  }

  /** A relay needs a key frame of one of its peers, which are named as it knows them. */
  handleKeyFrameWish({ callId, tag }: { readonly callId: string; readonly tag: string }, nowMs: number): void {
    const leg = this.#legs.ofMedia(tag);
    if (leg?.call.ngCallId === callId) requestPicture(this, leg, nowMs);
  }

  /** Ends every call: the server stops for good. */
  hangUpAll(words: string, nowMs: number): void {
    for (const call of this.#calls.all()) {
      if (call.state === 'answered') this.hangUp(call, { status: 503, words }, nowMs);
      else giveUp(this, call, { status: 503, words, nowMs });
    }
  }

  #handleRequest(got: Extract<TransactionCommand, { kind: 'request' }>, nowMs: number): void {
    const { message } = got;
    if (message.to.tag === undefined && message.method === 'INVITE') startCall(this, got, nowMs);
    else dispatch(this, { calls: this.#calls, legs: this.#legs, byes: this.byes }, got, nowMs);
  }

  addCall(call: Call): void {
    this.#calls.add(call);
    if (!call.transfer) this.#calls.invited(call.inviteTransaction, call);
    this.progress(call);
  }

  progress(call: Call): void {
    this.#commands.push({ kind: 'progress', call: summarise(call, this.options.mediaPath) });
  }

  addLeg(leg: Leg): void {
    this.#legs.add(leg);
  }

  retag(leg: Leg): void {
    this.#legs.retag(leg, this.newTag());
    leg.dialog.remoteCSeq = leg.call.invite.cseq.number; // counted anew in each dialog (RFC 3261 12.2.1.1)
    if (leg.reliable) resetReliable(this, leg);
  }

  pathOf(user: string): string | undefined {
    return this.#legs.ofUser(user, FEW)?.call.ngCallId;
  }

  parkedIn(slot: string): Call | undefined {
    return this.#calls.parkedIn(slot);
  }

  ringingAt(matches: (user: string) => boolean): Call[] {
    return this.#calls.ringingAt(matches);
  }

  dropLeg(leg: Leg): void {
    this.#legs.delete(leg);
  }

  findLeg(dialog: { callId: string; toTag: string; fromTag: string }): Leg | undefined {
    return this.#legs.byDialog(dialog);
  }

  callsOf(user: string): number {
    return this.#calls.begunBy(user);
  }

  newTag(): string {
    return hex(this.options.crypto.randomBytes(10));
  }

  media(call: Call, message: NgDictionary, then: (result: NgResult, nowMs: number) => void): void {
    this.#relay.sendFor(call, message, then);
  }

  relay(message: NgDictionary, then: (result: NgResult, nowMs: number) => void): void {
    this.#relay.send(message, then);
  }

  respond(transaction: string, response: SipMessage, nowMs: number): void {
    const { status } = response;
    const call = this.#calls.ofInvite(transaction);
    const beginsCall = call?.inviteTransaction === transaction;
    if (beginsCall && status > 100) this.counters.countTold(call, status, nowMs);
    if (status >= 200) {
      if (beginsCall) stopReliable(this, call.a);
      this.#calls.inviteAnswered(transaction);
    }
    this.options.transactions.respond(transaction, response, nowMs);
  }

  setTimer(timer: CallTimer, atMs: number): void {
    this.#deadlines.set(timer, atMs);
  }

  clearTimer(timer: CallTimer): void {
    this.#deadlines.delete(timer);
  }

  follow(transaction: string, handler: ClientHandler): void {
    this.#clients.set(transaction, handler);
  }

  #handleAck(message: SipMessage, nowMs: number): void {
    const leg = this.#legs.find(message) ?? this.byes.find(message);
    if (!leg) return;
    handleAck(this, leg, message, nowMs);
    if (leg.ok === undefined && !leg.isLost) this.byes.pay(leg, nowMs);
  }

  #handleCancel(transaction: string, nowMs: number): void {
    const call = this.#calls.ofInvite(transaction);
    if (!call) return;
    if (transaction === call.inviteTransaction) {
      this.counters.cancelled++;
      giveUp(this, call, { status: 487, words: 'cancelled by the caller', nowMs });
    } else cancelRenegotiation(this, call, nowMs);
  }

  answered(call: Call, nowMs: number): void {
    this.counters.answered++;
    this.changed(call);
    this.progress(call);
    this.setTimer(call.check, nowMs + this.limits.checkMs);
    for (const leg of [call.a, call.b]) if (leg?.isLost) this.setTimer(leg.timers.lost, nowMs + this.limits.graceMs);
  }

  hangUp(call: Call, why: { status: number; words: string }, nowMs: number): void {
    this.byes.send(call.a, why.words, nowMs);
    if (call.b) this.byes.send(call.b, why.words, nowMs);
    this.end(call, why, nowMs);
  }

  end(call: Call, why: { status: number; words: string }, nowMs: number): void {
    if (call.state === 'ended') return;
    this.counters.countEnd(why.status, call.answeredAtMs !== undefined);
    const { pending } = call;
    if (pending?.transfer?.old === call) {
      pending.transfer.isOver = true; // a NOTIFY has no dialog any more
      giveUp(this, pending, { status: 487, words: 'who was to be transferred has hung up', nowMs });
    } else if (pending) fetchedGone(this, pending, call, nowMs);
    endRenegotiation(this, call, nowMs);
    this.#commands.push({
      kind: 'ended',
      call: {
        ...summarise(call, this.options.mediaPath),
        state: 'ended',
        endedAtMs: nowMs,
        status: why.status,
        reason: call.note === undefined ? why.words : `${why.words}; ${call.note}`,
      },
      phones: talkedIn(call),
    });
    const ngCallIds = new Set(call.branches.filter((b) => b.state !== 'failed').map((b) => b.ngCallId));
    if (call.ngCallId !== undefined) ngCallIds.add(call.ngCallId);
    call.state = 'ended';
    // What was moved into a call that came to nothing goes back before its place is given up.
    const back = call.branches.filter((b) => b.fetched && b.state !== 'failed');
    const next = (): void => {
      const branch = back.shift();
      if (branch) returnFetched(this, branch, { words: why.words, nowMs }, next);
      else for (const ngCallId of ngCallIds) this.relay(deleteCommand(ngCallId), () => {});
    };
    returnTransferred(this, call, next);
    this.#calls.delete(call);
    for (const timer of [call.ring, call.stillRinging, call.change, call.check]) this.clearTimer(timer);
    for (const leg of [call.a, ...call.branches.map((b) => b.leg)]) {
      if (leg.call !== call) continue; // it went on into another call
      const { retransmit, noAck, lost } = leg.timers;
      const isOwed = this.byes.isOwed(leg);
      if (!isOwed) leg.ok = undefined;
      for (const timer of Object.values(leg.timers))
        if (!isOwed || ![retransmit, noAck, lost].includes(timer)) this.clearTimer(timer);
      this.#legs.delete(leg);
      if (leg === call.a && leg.reliable?.stopped.length && this.options.transactions.isOpen(call.inviteTransaction))
        this.byes.keep(leg, call.inviteTransaction);
      leg.line?.release();
      leg.cancelOurs?.(nowMs);
      tryAgain(leg, nowMs); // what waited for a better moment has waited in vain
    }
    for (const branch of call.branches) {
      const { transaction } = branch;
      if (transaction === undefined || branch.state !== 'answered' || branch.leg.call !== call) continue;
      const after = this.#clients.has(transaction) ? afterTheCall(this, branch) : undefined;
      if (after) this.#clients.set(transaction, after);
    }
  }
}
