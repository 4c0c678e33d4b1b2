import { parseUri } from '@offhook/core';
import type { Decision, RingStep, Routed, Target } from './decision.ts';
import { printable, spelled } from './pattern.ts';

/**
 * What comes from the routes' thread is the work of a person's code and counts as nothing until it has been looked at:
 * texts end up in SIP messages and in logs.
 */
export const DECISION_LIMITS = {
  targets: 64,
  steps: 128,
  ringS: 3600,
  user: 128,
  uri: 512,
  reason: 512,
  displayName: 128,
  sentences: 502,
  sentence: 400,
};
/** What a trunk may be asked to dial: nothing that would need escaping in a SIP URI. */
const NUMBER = /^\+?[0-9A-Za-z*#._-]{1,64}$/;
const NAME = /^[A-Za-z0-9*#+._-]{1,64}$/;

/** The same, typed; or what is wrong with it, as a sentence. */
export function checkRouted(value: unknown): Routed | string {
  const { decision, steps } = (isObject(value) ? value : {}) as { decision?: unknown; steps?: unknown };
  if (!Array.isArray(steps) || steps.length > DECISION_LIMITS.sentences || !steps.every(isSentence))
    return 'the steps of the decision are no list of sentences';
  const checked = checkDecision(decision);
  return typeof checked === 'string' ? checked : { decision: checked, steps: steps.map(printable) };
}

function checkDecision(value: unknown): Decision | string {
  if (!isObject(value)) return `${spelled(value)} is no decision`;
  switch (value.kind) {
    case 'ring':
      return checkRing(value);
    case 'echo':
      return { kind: 'echo' };
    case 'park':
      return isName(value.slot) ? { kind: 'park', slot: value.slot } : `${spelled(value.slot)} is no parking slot`;
    case 'room':
      return isName(value.room) ? { kind: 'room', room: value.room } : `${spelled(value.room)} is no name of a room`;
    case 'pickup':
      if (value.user === undefined) return { kind: 'pickup' };
      return isUser(value.user) ? { kind: 'pickup', user: value.user } : `${spelled(value.user)} is no user's name`;
    case 'reject': {
      const { status, reason } = value;
      if (!isWhole(status, 400, 699)) return `${spelled(status)} is no status from 400 to 699`;
      if (!isShort(reason, DECISION_LIMITS.reason)) return `${spelled(reason)} is no reason`;
      return { kind: 'reject', status, reason };
    }
    default:
      return `${spelled(value.kind)} is no kind of decision`;
  }
}

function checkRing({ steps, showAs }: Record<string, unknown>): Decision | string {
  if (!Array.isArray(steps) || steps.length === 0 || steps.length > DECISION_LIMITS.steps)
    return `1 to ${DECISION_LIMITS.steps} steps can be rung`;
  const checked: RingStep[] = [];
  for (const step of steps as unknown[]) {
    const one = checkStep(step);
    if (typeof one === 'string') return one;
    checked.push(one);
  }
  if (showAs === undefined) return { kind: 'ring', steps: checked };
  const { from, displayName } = (isObject(showAs) ? showAs : {}) as Record<string, unknown>;
  if (from !== undefined && !isUser(from)) return `${spelled(from)} can't be shown as the caller`;
  if (displayName !== undefined && !isShort(displayName, DECISION_LIMITS.displayName))
    return `${spelled(displayName)} can't be shown as a name`;
  return { kind: 'ring', steps: checked, showAs: { from, displayName } };
}

function checkStep(step: unknown): RingStep | string {
  const { targets, ringS } = (isObject(step) ? step : {}) as Record<string, unknown>;
  if (!Array.isArray(targets) || targets.length === 0 || targets.length > DECISION_LIMITS.targets)
    return `1 to ${DECISION_LIMITS.targets} can be rung at once`;
  if (ringS !== undefined && !isWhole(ringS, 1, DECISION_LIMITS.ringS))
    return `${spelled(ringS)} is no number of seconds from 1 to ${DECISION_LIMITS.ringS}`;
  const checked: Target[] = [];
  for (const target of targets as unknown[]) {
    const one = checkTarget(target);
    if (typeof one === 'string') return one;
    checked.push(one);
  }
  return ringS === undefined ? { targets: checked } : { targets: checked, ringS };
}

function checkTarget(target: unknown): Target | string {
  if (!isObject(target)) return `${spelled(target)} can't be rung`;
  switch (target.kind) {
    case 'user':
      return isUser(target.user) ? { kind: 'user', user: target.user } : `${spelled(target.user)} is no user's name`;
    case 'trunk': {
      const { trunk, number } = target;
      if (!isUser(trunk)) return `${spelled(trunk)} is no trunk's name`;
      if (typeof number !== 'string' || !NUMBER.test(number))
        return `${spelled(number)} is no number that can be dialled`;
      return { kind: 'trunk', trunk, number };
    }
    case 'uri': {
      const { uri } = target;
      const isGood = isShort(uri, DECISION_LIMITS.uri) && /^sips?:[^\s<>"]+$/i.test(uri) && parseUri(uri)?.isSip;
      return isGood ? { kind: 'uri', uri } : `${spelled(uri)} is no SIP address like sip:sales@example.org`;
    }
    default:
      return `${spelled(target.kind)} can't be rung`;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isShort(value: unknown, max: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= max && !/\p{Cc}/u.test(value);
}

function isSentence(value: unknown): value is string {
  return typeof value === 'string' && value.length <= DECISION_LIMITS.sentence;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value);
}

function isUser(value: unknown): value is string {
  return isShort(value, DECISION_LIMITS.user) && !/[\s<>"@]/.test(value);
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}
