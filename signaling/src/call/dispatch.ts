import { createResponse } from '@offhook/core';
import type { Leg } from './call.ts';
import { ALLOW, type CallContext, refusal, SUPPORTED, unknownNeeds } from './context.ts';
import { changeByCallee } from './early-change.ts';
import { sdpOf } from './exchange.ts';
import { handleBye, handleReinvite, handleUpdate, type InDialog, passOn, refreshTarget } from './in-dialog.ts';
import type { EarlyDialog } from './prack.ts';
import { handleRefer } from './refer.ts';
import { handlePrack } from './reliable.ts';

/** A request within a dialog, in order as its CSeq says, by its method (RFC 3261 12.2.2). */
export function handleInDialog(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { id, message } = got;
  if (refuseNeeds(context, leg, got, nowMs)) return;
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
    case 'PRACK':
      handlePrack(context, leg, got, nowMs);
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

/** A request of a called phone that has not answered yet, in a dialog that its provisional response began. */
export function handleInEarlyDialog(context: CallContext, early: EarlyDialog, got: InDialog, nowMs: number): void {
  const { id, message } = got;
  const { leg } = early.branch;
  if (refuseNeeds(context, leg, got, nowMs)) return;
  if (message.method !== 'UPDATE') {
    context.respond(id, refusal(message, 481, 'this call is not answered yet', leg.tag), nowMs);
    return;
  }
  if (sdpOf(message) !== undefined) changeByCallee(context, early, got, nowMs);
  else refreshTarget(context, { leg, ...early }, got, nowMs);
}

/** RFC 3261 8.2.2.3; whether it was refused. */
function refuseNeeds(context: CallContext, leg: Leg, { id, message }: InDialog, nowMs: number): boolean {
  const needs = unknownNeeds(message);
  if (needs.length === 0 || message.method === 'BYE') return false;
  const words = `not supported: ${needs.join(', ')}`.slice(0, 200);
  context.respond(id, refusal(message, 420, words, leg.tag, [['Unsupported', needs.join(', ')]]), nowMs);
  return true;
}
