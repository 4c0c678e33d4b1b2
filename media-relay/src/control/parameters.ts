import { ipFamily, type NgDictionary, type NgValue } from '@offhook/core';
import type { DescribeRequest } from '../session/index.ts';

/** Limits of reference figures: Call-ID 256, tags 128, SDP 32 KiB. */
export const CONTROL_LIMITS = { callId: 256, tag: 128, sdp: 32 * 1024, list: 1000, flags: 64 } as const;

/** Flags of our own. */
const OWN: ReadonlySet<string> = new Set(['opaque', 'silent', 'stand-in']);

/** Flags of rtpengine that mean what this relay does anyway, or nothing here. */
const HARMLESS: ReadonlySet<string> = new Set([
  'asymmetric',
  'symmetric',
  'strict-source',
  'strict source',
  'loop-protect',
  'port-latching',
  'full-rtcp-attribute',
  'no-rtcp-attribute',
  'rtcp-mux-demux',
  'SIP-source-address',
  'generate mid',
  'generate-mid',
]);

export type Parameters =
  | { readonly request: DescribeRequest; readonly unknownFlags: string[] }
  | { readonly error: string };

/** Reads the keys of `offer`, `answer` and `echo`, rtpengine's names; spaces and dashes in keys are the same. */
export function parametersOf(received: NgDictionary): Parameters {
  const message = withRtppFlags(received);
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  const fromTag = textOf(message, 'from-tag', CONTROL_LIMITS.tag);
  const toTag = textOf(message, 'to-tag', CONTROL_LIMITS.tag);
  const sdp = textOf(message, 'sdp', CONTROL_LIMITS.sdp);
  for (const [name, value] of Object.entries({ 'call-id': callId, 'from-tag': fromTag, 'to-tag': toTag, sdp })) {
    if (typeof value === 'object') return { error: `${name} ${value.error}` };
    if (value === undefined && name !== 'to-tag') return { error: `${name} is missing` };
  }
  const flags = wordsOf(message.flags);
  const source = receivedFrom(entryOf(message, 'received-from'));
  const ice = wordsOf(message.ICE)[0]?.toLowerCase();
  const dtls = wordsOf(message.DTLS).map((w) => w.toLowerCase());
  const protocol = entryOf(message, 'transport-protocol');
  return {
    request: {
      callId: callId as string,
      fromTag: fromTag as string,
      toTag: toTag === '' ? undefined : (toTag as string | undefined),
      sdp: sdp as string,
      protocol: typeof protocol === 'string' && protocol !== '' ? protocol : undefined,
      ice: ice === 'remove' ? 'remove' : ice?.startsWith('force') ? 'force' : undefined,
      dtlsOff: dtls.some((w) => w === 'off' || w === 'no' || w === 'disable'),
      sdesOff: wordsOf(message.SDES).some((w) => w === 'off' || w === 'no' || w === 'disable'),
      rtcpMux: wordsOf(entryOf(message, 'rtcp-mux')).map((w) => w.toLowerCase()),
      replaceOrigin: wordsOf(message.replace).some((w) => w === 'origin'),
      receivedFrom: source,
      trustAddress: flags.includes('trust-address') || flags.includes('trust address'),
      opaque: flags.includes('opaque'),
      standIn: flags.includes('stand-in'),
      silent: flags.includes('silent'),
    },
    unknownFlags: flags.filter((f) => !OWN.has(f) && !/^trust[- ]address$/.test(f) && !HARMLESS.has(f)),
  };
}

/** Whether the client takes `load limit` for an answer. */
export function knowsLoadLimit(message: NgDictionary): boolean {
  return wordsOf(message.supports).includes('load limit');
}

/** Words of `rtpp-flags` that are entries of a list: `replace-origin`, `SDES-off` … */
const LISTED = ['replace', 'rtcp-mux', 'SDES'] as const;

/** `rtpp-flags`: what Kamailio's script says, unread (its module does so when it is given a Via branch apart). */
function withRtppFlags(message: NgDictionary): NgDictionary {
  const raw = entryOf(message, 'rtpp-flags');
  if (typeof raw !== 'string') return message;
  const lists: Record<string, string[]> = { flags: wordsOf(message.flags) };
  const texts: Record<string, string> = {};
  for (const word of raw.split(' ', CONTROL_LIMITS.flags)) {
    const at = word.indexOf('=');
    const listed = LISTED.find((name) => word.startsWith(`${name}-`) || word.startsWith(`${name}=`));
    if (listed !== undefined) {
      lists[listed] ??= [];
      lists[listed].push(word.slice(listed.length + 1));
    } else if (at > 0) texts[word.slice(0, at)] = word.slice(at + 1);
    else if (word.includes('RTP/')) texts['transport-protocol'] = word;
    else if (word !== '') lists.flags!.push(word);
  }
  // Call-ID and tags stay those of the SIP message; what the client said as a key comes before a word.
  return { ...lists, ...texts, ...message, flags: lists.flags };
}

/** A text within its limit, undefined when absent, or what is wrong with it. */
export function textOf(message: NgDictionary, name: string, limit: number): string | { error: string } | undefined {
  const value = entryOf(message, name);
  if (value === undefined) return undefined;
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return { error: 'has to be a text' };
  return text.length > limit ? { error: `is longer than ${limit} characters` } : text;
}

function entryOf(message: NgDictionary, name: string): NgValue | undefined {
  return message[name] ?? message[name.replaceAll('-', ' ')];
}

/** A list of words, or one text as a list. */
function wordsOf(value: NgValue | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return [];
  return value.slice(0, CONTROL_LIMITS.flags).filter((v): v is string => typeof v === 'string');
}

/** `["IP4", "192.0.2.1"]` or the address alone. */
function receivedFrom(value: NgValue | undefined): string | undefined {
  const words = wordsOf(value);
  const address = words[words.length - 1];
  return address !== undefined && ipFamily(address) !== undefined ? address : undefined;
}
