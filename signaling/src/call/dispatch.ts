import { createResponse } from '@offhook/core';
import type { Leg } from './call.ts';
import { ALLOW, type CallContext, refusal, SUPPORTED, unknownNeeds } from './context.ts';
import { handleBye, handleReinvite, handleUpdate, type InDialog, passOn } from './in-dialog.ts';
import { handleRefer } from './refer.ts';

/** A request within a dialog, in order as its CSeq says, by its method (RFC 3261 12.2.2). */
export function handleInDialog(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { id, message } = got;
  const needs = unknownNeeds(message);
  if (needs.length > 0 && message.method !== 'BYE') {
    const words = `not supported: ${needs.join(', ')}`.slice(0, 200);
    context.respond(id, refusal(message, 420, words, leg.tag, [['Unsupported', needs.join(', ')]]), nowMs);
    return;
  }
  switch (message.method) {
    case 'BYE':
      handleBye(context, leg, got, nowMs);
      return;
    case 'INVITE':
      handleReinvite(context, leg, got, nowMs);
      return;
    case 'UPDATE':
      handleUpdate(context, leg, got, nowMs);
      return;
    case 'REFER':
      handleRefer(context, leg, got, nowMs);
      return;
    case 'INFO':
    case 'MESSAGE':
      passOn(context, leg, got, nowMs);
      return;
    default: {
      const status = message.method === 'OPTIONS' ? 200 : 405;
      const headers = [['Allow', ALLOW] as const, ['Supported', SUPPORTED.join(', ')] as const];
      context.respond(id, createResponse(message, status, undefined, { toTag: leg.tag, headers }), nowMs);
    }
  }
}
