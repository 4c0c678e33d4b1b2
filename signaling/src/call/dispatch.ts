import { createResponse } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import type { Byes } from './byes.ts';
import type { Leg } from './call.ts';
import type { CallTable } from './call-table.ts';
import { mayMoveTo, moveTo } from './connection.ts';
import { ALLOW, type CallContext, refusal, SUPPORTED, unknownNeeds } from './context.ts';
import { changeByCallee } from './early-change.ts';
import { sdpOf } from './exchange.ts';
import { handleBye, handleReinvite, handleUpdate, type InDialog, passOn, refreshTarget } from './in-dialog.ts';
import type { LegTable } from './leg-table.ts';
import type { EarlyDialog } from './prack.ts';
import { handleRefer } from './refer.ts';
import { handlePrack } from './reliable.ts';

/** Where the dialog of a request may be found. */
interface Dialogs {
  readonly calls: CallTable;
  readonly legs: LegTable;
  readonly byes: Pick<Byes, 'handleCrossing'>;
}

/** A request that says it belongs to a dialog: of a running call, of one that just ends, or one that has only begun. */
export function dispatch(
  context: CallContext,
  { calls, legs, byes }: Dialogs,
  got: InDialog & { readonly flow: Flow },
  nowMs: number,
): void {
  const { id, message, flow } = got;
  const refuse = (status: number, words: string, toTag: string) =>
    context.respond(id, refusal(message, status, words, toTag), nowMs);
  const leg = legs.find(message);
  if (leg) {
    if (!leg.dialog.accepts(message)) {
      refuse(500, OUT_OF_ORDER, leg.tag);
      return;
    }
    if (flow !== leg.dialog.flow && mayMoveTo(leg, flow)) moveTo(context, leg, flow, nowMs);
    if (message.method === 'INVITE') calls.invited(id, leg.call);
    handleInDialog(context, leg, got, nowMs);
    return;
  }
  if (byes.handleCrossing(got, nowMs)) return;
  const former = legs.findFormer(message);
  if (former) {
    handlePrack(context, former, got, nowMs);
    return;
  }
  const early = legs.findEarly(message);
  if (!early) refuse(481, 'this call does not exist (any more)', context.newTag());
  else if (!early.dialog.accepts(message)) refuse(500, OUT_OF_ORDER, early.dialog.localTag);
  else handleInEarlyDialog(context, early, got, nowMs);
}

/** RFC 3261 12.2.2: a lower CSeq than the last one's gets 500. */
const OUT_OF_ORDER = 'CSeq out of order';

/** A request within a dialog, in order as its CSeq says, by its method (RFC 3261 12.2.2). */
function handleInDialog(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
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
function handleInEarlyDialog(context: CallContext, early: EarlyDialog, got: InDialog, nowMs: number): void {
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
