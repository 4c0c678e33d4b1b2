import type { NgDictionary, NgValue } from '@offhook/core';
import type { DescribeRequest, Warning, WarningKind } from '../session/index.ts';
import { isKnownFlag, isKnownKey } from './known-names.ts';
import { addressOf, CONTROL_LIMITS, numberOf, type Options, optionsOf, textOf, wordsOf } from './words.ts';

export type Parameters =
  | {
      readonly request: DescribeRequest;
      readonly warnings: readonly Warning[];
    }
  | { readonly error: string };

/** Reads the keys and flags of `offer`, `answer` and `echo`, rtpengine's names; spaces and dashes in them are the same. */
export function parametersOf(message: NgDictionary): Parameters {
  const options = optionsOf(message);
  const texts: Record<string, string | undefined> = {};
  for (const [name, limit] of TEXTS) {
    const value = textOf(message, name, limit);
    if (typeof value === 'object') return { error: `${name} ${value.error}` };
    texts[name] = value === '' && name !== 'sdp' ? undefined : value;
  }
  for (const name of ['call-id', 'from-tag', 'sdp'])
    if (texts[name] === undefined) return { error: `${name} is missing` };
  const problem = unavailable(options);
  if (problem !== undefined) return { error: problem };
  const { keys, flags, lists } = options;
  const dtls = wordsOf(keys.DTLS).map((w) => w.toLowerCase());
  const protocol = keys['transport-protocol'];
  const ptimeMs = message.command === 'answer' ? undefined : numberOf(keys.ptime, 1, 1000);
  const request: DescribeRequest = {
    callId: texts['call-id']!,
    fromTag: texts['from-tag']!,
    toTag: texts['to-tag'],
    sdp: texts.sdp!,
    branch: texts['via-branch'],
    label: texts.label ?? texts['from-label'] ?? texts['set-label'],
    protocol: typeof protocol === 'string' && protocol !== '' && protocol !== 'accept' ? protocol : undefined,
    ice: iceOf(keys.ICE),
    dtlsOff: dtls.some(isOff),
    dtlsRole: roleOf(keys.DTLS),
    dtlsReverse: roleOf(keys['DTLS-reverse']),
    sdesOff: lists.SDES.some(isOff),
    sdes: sdesOf(lists.SDES),
    rtcpMux: lists['rtcp-mux'].map((w) => w.toLowerCase()),
    replaceOrigin: lists.replace.includes('origin'),
    replace: replacedParts(lists.replace),
    receivedFrom: addressOf(keys['received-from']),
    trustAddress: flags.has('trust-address'),
    mediaAddress: addressOf(keys['media-address']),
    addressFamily: familyOf(keys['address-family']),
    interfaces: interfacesOf(options),
    codecs: codecsOf(options),
    ptimeMs,
    opaque: flags.has('opaque'),
    standIn: flags.has('stand-in'),
    silent: flags.has('silent'),
  };
  return { request, warnings: warningsOf(options, ptimeMs) };
}

const TEXTS: readonly (readonly [string, number])[] = [
  ['call-id', CONTROL_LIMITS.callId],
  ['from-tag', CONTROL_LIMITS.tag],
  ['to-tag', CONTROL_LIMITS.tag],
  ['via-branch', CONTROL_LIMITS.branch],
  ['label', CONTROL_LIMITS.label],
  ['from-label', CONTROL_LIMITS.label],
  ['set-label', CONTROL_LIMITS.label],
  ['sdp', CONTROL_LIMITS.sdp],
];

/** Names of keys and flags that are neither read nor passed over on purpose. */
export function unknownNames({ keys, flags }: Options): string[] {
  return [...Object.keys(keys).filter((key) => !isKnownKey(key)), ...[...flags].filter((flag) => !isKnownFlag(flag))];
}

/** Whether the client takes `load limit` for an answer. */
export function knowsLoadLimit(message: NgDictionary): boolean {
  return wordsOf(message.supports).includes('load limit');
}

/** What would leave a call without what its owner counts on is refused, not passed over. */
function unavailable({ keys, lists, codecs }: Options): string | undefined {
  const open = lists.SDES.find((word) => /^un(encrypted|authenticated)[-_]/i.test(word));
  if (open !== undefined) return `SDES ${open}: this relay sends no SRTP without encryption and authentication`;
  for (const action of ['mask', 'consume']) {
    if ((codecs[action]?.length ?? 0) > 0)
      return `codec ${action}: it needs transcoding, which this relay doesn't do yet`;
  }
  const hash = wordsOf(keys['DTLS-fingerprint'])[0];
  if (hash !== undefined && hash.toLowerCase() !== 'sha-256') {
    return `DTLS-fingerprint ${hash.slice(0, 20)}: this relay's certificate is named by SHA-256 only`;
  }
  if (lists['T.38'].some((word) => word !== 'stop')) return 'T.38: this relay has no fax gateway; offer T.38 unchanged';
  if (lists.OSRTP.some((word) => word.startsWith('offer')))
    return 'OSRTP offer: this relay offers RTP or SRTP, not both';
  return undefined;
}

function warningsOf({ keys, flags, lists }: Options, ptimeMs: number | undefined): Warning[] {
  const warnings: Warning[] = [];
  const warn = (about: WarningKind, words: string) => warnings.push({ about, words: `${about}: ${words}` });
  const record = wordsOf(keys['record-call'])[0];
  if (flags.has('record-call') || record === 'yes' || record === 'on') {
    warn('record-call', 'the call is not recorded, this relay cannot record yet');
  }
  if (flags.has('inject-DTMF')) warn('inject-DTMF', 'this relay cannot play DTMF yet');
  if (flags.has('always-transcode')) warn('always-transcode', 'this relay does not transcode yet');
  if (ptimeMs !== undefined) warn('ptime', 'the SDP asks for it; packets that come otherwise are not made anew');
  if (lists['sdp-attr'].length > 0 || keys['sdp-attr'] !== undefined) warn('sdp-attr', 'not read here');
  for (const [about, words] of NOT_DONE) {
    const value = keys[about] ?? (flags.has(about) ? 'on' : undefined);
    if (value !== undefined && value !== 0 && !wordsOf(value).some(isNone)) warn(about, words);
  }
  return warnings;
}

/** Keys and flags that want something of sound, or that the relay call somebody. */
const NOT_DONE: readonly (readonly [WarningKind, string])[] = [
  ['DTMF-security', "keys pass as they come; 'block DTMF' takes them out"],
  ['audio-player', 'this relay cannot play audio yet'],
  ['delay-buffer', 'packets are not delayed here'],
  ['xmlrpc-callback', 'nobody is called at a timeout; `events` tells of it'],
];

function isNone(word: string): boolean {
  return isOff(word) || word === '0' || word === 'default';
}

function iceOf(value: NgValue | undefined): 'force' | 'remove' | undefined {
  const ice = wordsOf(value)[0]?.toLowerCase();
  return ice === 'remove' ? 'remove' : ice?.startsWith('force') ? 'force' : undefined;
}

function isOff(word: string): boolean {
  return word === 'off' || word === 'no' || word === 'disable';
}

function roleOf(value: NgValue | undefined): 'active' | 'passive' | undefined {
  const role = wordsOf(value)[0]?.toLowerCase();
  return role === 'active' || role === 'passive' ? role : undefined;
}

function familyOf(value: NgValue | undefined): 4 | 6 | undefined {
  const word = wordsOf(value)[0]?.toUpperCase();
  return word === 'IP4' ? 4 : word === 'IP6' ? 6 : undefined;
}

/** `direction` names both sides', `interface` one for both; Kamailio's `internal external` stand among the flags too. */
function interfacesOf({ keys, flags }: Options): DescribeRequest['interfaces'] {
  const direction = wordsOf(keys.direction).flatMap((word) => word.split(','));
  if (direction.length >= 2) return [direction[0], direction[1]];
  const one = wordsOf(keys.interface)[0] ?? direction[0];
  const from = wordsOf(keys['from-interface'])[0];
  const to = wordsOf(keys['to-interface'])[0];
  if (from !== undefined || to !== undefined || one !== undefined) return [from ?? one, to ?? one];
  const legacy = [...flags].filter((flag) => flag === 'internal' || flag === 'external');
  return legacy.length === 0 ? undefined : [legacy[0], legacy[1] ?? legacy[0]];
}

const REPLACED = ['username', 'session-name', 'SDP-version', 'force-increment-sdp-ver'] as const;

function replacedParts(words: readonly string[]): DescribeRequest['replace'] {
  const found = REPLACED.filter((part) => words.some((word) => word.toLowerCase() === part.toLowerCase()));
  return found.length === 0 ? undefined : new Set(found);
}

function sdesOf(words: readonly string[]): DescribeRequest['sdes'] {
  const after = (start: string) =>
    words
      .filter((word) => word.startsWith(start))
      .flatMap((word) => word.slice(start.length).split(';'))
      .filter(Boolean);
  const policy = {
    only: after('only-'),
    not: after('no-'),
    order: after('order:'),
    addsNone: words.includes('nonew'),
    preferred: after('offerer_pref:'),
  };
  const says = policy.addsNone || [policy.only, policy.not, policy.order, policy.preferred].some((l) => l.length > 0);
  return says ? policy : undefined;
}

function codecsOf({ codecs }: Options): DescribeRequest['codecs'] {
  const { strip = [], except = [], offer = [], transcode = [] } = codecs;
  const says = [strip, except, offer, transcode].some((list) => list.length > 0);
  return says ? { strip, except, offer, transcode } : undefined;
}
