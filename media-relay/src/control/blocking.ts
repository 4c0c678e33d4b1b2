import type { NgDictionary } from '@offhook/core';
import { applyBlocks, type Call, type Leg, type SessionBook } from '../session/index.ts';
import { CONTROL_LIMITS, optionsOf, textOf, wordsOf } from './words.ts';

export const BLOCK_COMMANDS: ReadonlySet<string> = new Set([
  'block media',
  'unblock media',
  'block DTMF',
  'unblock DTMF',
]);

/**
 * Stops and lets pass again what peers send: everything but telephone events, or telephone events alone. Of the whole
 * call, or of the peers with the `from-tag`, `label` or `address`. Words why not, or undefined.
 */
export function block(book: SessionBook, command: string, message: NgDictionary): string | undefined {
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  const call = typeof callId === 'string' ? book.find(callId) : undefined;
  if (!call) return 'Unknown call-id';
  if (textOf(message, 'to-tag', CONTROL_LIMITS.tag) !== undefined || message['to-label'] !== undefined) {
    return "a flow to one peer can't be blocked apart: leave to-tag and to-label away";
  }
  const isOn = command.startsWith('block');
  const isDtmf = command.endsWith('DTMF');
  const chosen = chooseLegs(call, message);
  if (typeof chosen === 'string') return chosen;
  const { flags, keys } = optionsOf(message);
  const isAll = flags.has('all') || keys.all === 'all';
  const targets: (Call | Leg)[] = chosen ?? [call, ...(isAll ? call.everyLeg() : [])];
  for (const target of targets) {
    if (isDtmf) target.blocksDtmf = isOn;
    else target.blocksMedia = isOn;
  }
  for (const leg of call.everyLeg()) applyBlocks(call, leg);
  return undefined;
}

/** The peers that a message picks, undefined when it picks none. */
function chooseLegs(call: Call, message: NgDictionary): Leg[] | string | undefined {
  const tag = textOf(message, 'from-tag', CONTROL_LIMITS.tag);
  const label = textOf(message, 'label', CONTROL_LIMITS.label) ?? textOf(message, 'from-label', CONTROL_LIMITS.label);
  const address = wordsOf(message.address)[0];
  if (typeof tag === 'object' || typeof label === 'object') return 'from-tag or label is too long';
  if (tag !== undefined && tag !== '') {
    const leg = call.leg(tag);
    return leg ? [leg] : 'From-tag given, but no such tag exists';
  }
  const matches =
    label !== undefined
      ? (leg: Leg) => leg.label === label
      : address !== undefined
        ? (leg: Leg) => leg.remote?.media.some((m) => (m.connection ?? leg.remote?.connection)?.address === address)
        : undefined;
  if (!matches) return undefined;
  const legs = call.everyLeg().filter((leg) => matches(leg) === true);
  return legs.length > 0 ? legs : 'no peer of this call has that label or address';
}
