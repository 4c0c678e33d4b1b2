import {
  type Crypto,
  createResponse,
  type NgDictionary,
  quote,
  reasonPhrase,
  type SipMessage,
  type SipUri,
} from '@offhook/core';
import type { Locate } from '../locate/index.ts';
import type { NgResult } from '../media/index.ts';
import { type Binding, type Gruu, REGISTRATION_EXTENSIONS } from '../registrar/index.ts';
import type { CallFacts, Routed } from '../routing/index.ts';
import type { UserSettings } from '../store/index.ts';
import type { Flow, TransactionLayer } from '../transaction/index.ts';
import type { InboundTrunks, Trunks } from '../trunk/index.ts';
import type { Byes } from './byes.ts';
import type { Call, CallTimer, Leg } from './call.ts';
import type { CallFigures } from './figures.ts';
import type { Encryption, MediaPath } from './media.ts';

export interface CallLimits {
  readonly callsPerUser: number;
  /** How long phones ring before the caller is told that nobody answers. */
  readonly ringMs: number;
  /** How long a call outlives the lost connection of one of its phones. */
  readonly graceMs: number;
  /** How long the other side may take over a change of the call, once it has shown that it got it. */
  readonly changeMs: number;
  /** How often the relay is asked whether a call still has media. */
  readonly checkMs: number;
  /** Session-Expires that we ask for, seconds; 0 = none of ours (RFC 4028). */
  readonly sessionS: number;
  /** The least that we accept (RFC 4028 4: 90). */
  readonly minSessionS: number;
}

export const CALL_LIMITS: CallLimits = {
  callsPerUser: 200,
  ringMs: 60_000,
  graceMs: 30_000,
  changeMs: 60_000,
  checkMs: 60_000,
  sessionS: 1800,
  minSessionS: 90,
};

export interface CallLayerOptions {
  readonly transactions: Pick<TransactionLayer, 'request' | 'respond' | 'cancel' | 'send' | 'isOpen'>;
  readonly crypto: Crypto;
  /** What becomes of a call; `then` may come at once or later. */
  readonly route: (facts: CallFacts, nowMs: number, then: (routed: Routed, nowMs: number) => void) => void;
  /** What a user wants done with calls. */
  readonly settings: (user: string) => UserSettings;
  /** Whether that user may take calls of the other: they are in a group together. */
  readonly mayPickUp: (user: string, of: string) => boolean;
  readonly locate: Locate;
  /** The contacts of a user, or of one phone of theirs. */
  readonly lookup: (user: string, nowMs: number, instance?: string) => readonly Binding[];
  /** The one phone that a GRUU means; undefined for what is none of ours. */
  readonly resolveGruu: (uri: SipUri) => Gruu | undefined;
  readonly isUser: (user: string) => boolean;
  /** The name that phones show for a caller. */
  readonly displayName: (user: string) => string;
  readonly domain: string;
  /** Whether a host name or address means this server. */
  readonly isLocal: (host: string) => boolean;
  /** Our address as a Contact URI, as the phones on that flow reach it. */
  readonly contact: (flow: Flow) => string;
  /** Whether a relay with that verb of ours is there. */
  readonly relayOffers: (verb: string) => boolean;
  readonly mediaPath: MediaPath;
  readonly encryption: Encryption;
  readonly trunks: Trunks & InboundTrunks;
  readonly limits?: CallLimits;
}

/** What the parts of the call machine share; implemented by `CallLayer`. */
export interface CallContext {
  readonly options: CallLayerOptions;
  readonly limits: CallLimits;
  readonly counters: CallFigures;
  readonly byes: Pick<Byes, 'send' | 'pay' | 'forget'>;
  newTag(): string;
  /** Sends a command to the relay; `then` runs when it has ended, if the call still wants to know. */
  media(call: Call, message: NgDictionary, then: (result: NgResult, nowMs: number) => void): void;
  /** The same for what has to be seen through even when the call has ended meanwhile. */
  relay(message: NgDictionary, then: (result: NgResult, nowMs: number) => void): void;
  respond(transaction: string, response: SipMessage, nowMs: number): void;
  setTimer(timer: CallTimer, atMs: number): void;
  clearTimer(timer: CallTimer): void;
  /** A client transaction whose events belong to that handler. */
  follow(transaction: string, handler: ClientHandler): void;
  addCall(call: Call): void;
  addLeg(leg: Leg): void;
  /** Gives a leg a new tag of ours: from now on its phone talks to us in another dialog. */
  retag(leg: Leg): void;
  /** The relay's name of another call of that user's, if the user has few. */
  pathOf(user: string): string | undefined;
  /** The call that is parked there, or about to be. */
  parkedIn(slot: string): Call | undefined;
  /** Calls that ring at phones of users whom that holds for, the oldest first. */
  ringingAt(matches: (user: string) => boolean): Call[];
  /** A phone that was called is out of it: nothing that it does or that happens to it touches the call any more. */
  dropLeg(leg: Leg): void;
  /** The leg of a dialog named as Replaces does (RFC 3891 3): the tags as its phone sees them. */
  findLeg(dialog: { callId: string; toTag: string; fromTag: string }): Leg | undefined;
  /** How many calls of that user are running. */
  callsOf(user: string): number;
  /** A call began, rings or was answered: whoever watches wants to know. */
  progress(call: Call): void;
  /** What another process would have to know of an answered call has changed. */
  changed(call: Call): void;
  /** A call was answered: counts, and watches over its media from now on. */
  answered(call: Call, nowMs: number): void;
  /** Hangs both sides up and ends the call. */
  hangUp(call: Call, why: { status: number; words: string }, nowMs: number): void;
  /** Ends a call: frees timers, dialogs and the relay's state. */
  end(call: Call, why: { status: number; words: string }, nowMs: number): void;
}

/** Who is told of the fate of a request of ours. */
export interface ClientHandler {
  response(message: SipMessage, flow: Flow, nowMs: number): void;
  failed(why: 'timeout' | 'transport-error', nowMs: number): void;
}

/** Headers that every answer and request of ours carries where they make sense. */
export const ALLOW = 'INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, REFER, PRACK';
/** Extensions that we know, as option tags. */
export const SUPPORTED: readonly string[] = ['timer', 'replaces', '100rel'];
/** The same for an INVITE whose provisional responses must not be reliable: a late offer, a change of an answered call. */
export const SUPPORTED_UNRELIABLE: readonly string[] = SUPPORTED.filter((tag) => tag !== '100rel');

/** A response with its reason in words (RFC 3326). */
export function refusal(
  request: SipMessage,
  status: number,
  words: string,
  toTag: string,
  headers: readonly (readonly [string, string | number])[] = [],
): SipMessage {
  return createResponse(request, status, undefined, {
    toTag,
    headers: [['Reason', reasonHeader(status, words)], ...headers],
  });
}

export function reasonHeader(status: number, words: string): string {
  return `SIP;cause=${status};text=${quote(words.replace(/[^\x20-\x7e]/g, '?') || reasonPhrase(status))}`;
}

/** The words of a Reason header, if it has any. */
export function reasonWords(message: SipMessage): string | undefined {
  const match = /text="((?:[^"\\]|\\.){1,200})"/.exec(message.header('reason') ?? '');
  return match?.[1]?.replace(/\\(.)/g, '$1');
}

/** Takes note of what a phone says of itself in a message of its dialog. */
export function noteAllow(leg: Pick<Leg, 'allows'>, message: SipMessage): void {
  const methods = message.values('allow');
  if (methods.length === 0) return;
  leg.allows.clear();
  for (const method of methods.slice(0, 32)) leg.allows.add(method.toUpperCase());
}

/** Option tags of a Require header that we don't know. */
export function unknownNeeds(request: SipMessage): string[] {
  const known = request.method === 'REGISTER' ? [...SUPPORTED, ...REGISTRATION_EXTENSIONS] : SUPPORTED;
  return [...request.values('require'), ...request.values('proxy-require')].filter(
    (tag) => !known.includes(tag.toLowerCase()),
  );
}
