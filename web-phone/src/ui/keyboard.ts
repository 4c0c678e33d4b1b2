import type { CallPhase } from '../ua/call.ts';

/** A key press, reduced to what decides its meaning. */
export interface KeyPress {
  readonly key: string;
  readonly modified: boolean;
  /** Where the focus is. */
  readonly focus: 'page' | 'dial-input' | 'other-input' | 'button';
  readonly phase: CallPhase | 'idle';
  readonly inputEmpty: boolean;
}

export type KeyAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'type'; readonly text: string }
  | { readonly kind: 'backspace' }
  | { readonly kind: 'clear' }
  | { readonly kind: 'call' }
  | { readonly kind: 'tone'; readonly key: string }
  | { readonly kind: 'answer' }
  | { readonly kind: 'answer-video' }
  | { readonly kind: 'decline' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'mute' }
  | { readonly kind: 'video' }
  | { readonly kind: 'close' };

const NONE: KeyAction = { kind: 'none' };

/**
 * Typing anywhere dials, and goes on in the field itself; the single-letter keys of a call work only outside of inputs (WCAG 2.1.4). Keys that would
 * press a focused button are left to it.
 */
export function keyAction(press: KeyPress): KeyAction {
  if (press.modified || press.focus === 'other-input') return NONE;
  switch (press.phase) {
    case 'idle':
    case 'ended':
      return idleKey(press);
    case 'incoming':
      return incomingKey(press);
    case 'calling':
    case 'ringing':
      return press.key === 'Escape' ? { kind: 'cancel' } : callKey(press);
    case 'active':
      return press.key === 'Escape' ? { kind: 'close' } : callKey(press);
    default:
      return press.phase satisfies never;
  }
}

function idleKey({ key, focus }: KeyPress): KeyAction {
  if (key === 'Escape') return { kind: 'clear' };
  if (key === 'Enter') return focus === 'button' ? NONE : { kind: 'call' };
  if (focus === 'dial-input') return NONE; // the input types for itself
  if (key === 'Backspace') return { kind: 'backspace' };
  if (key.length === 1 && key !== ' ') return { kind: 'type', text: key };
  return NONE;
}

function incomingKey({ key, focus, inputEmpty }: KeyPress): KeyAction {
  if (key === 'Escape') return { kind: 'decline' };
  if (focus === 'dial-input' && !inputEmpty) return NONE; // somebody is typing: no letter may answer by accident
  if (key === 'Enter') return focus === 'button' ? NONE : { kind: 'answer' };
  switch (key.toLowerCase()) {
    case 'a':
      return { kind: 'answer' };
    case 'v':
      return { kind: 'answer-video' };
    case 'd':
      return { kind: 'decline' };
    default:
      return NONE;
  }
}

function callKey({ key, phase }: KeyPress): KeyAction {
  if (phase === 'active' && /^[0-9*#]$/.test(key)) return { kind: 'tone', key };
  switch (key.toLowerCase()) {
    case 'm':
      return { kind: 'mute' };
    case 'v':
      return phase === 'active' ? { kind: 'video' } : NONE;
    default:
      return NONE;
  }
}
