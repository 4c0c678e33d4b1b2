import type { SipMessage } from '@offhook/core';
import type { Branch, Leg } from './call.ts';
import { type CallContext, type ClientHandler, reasonHeader } from './context.ts';
import { earlyDialog } from './prack.ts';

// Strays: further answers to one INVITE, which a server behind the contact has forked (RFC 3261 13.2.2.4). One is taken.

/** Answers to one INVITE from several phones behind one contact that are hung up properly. */
const MAX_STRAYS = 8;

/** A second answer to the same INVITE from behind the contact: a dialog of its own, acknowledged and hung up at once. */
export function hangUpStray(
  context: CallContext,
  of: { leg: Pick<Leg, 'dialog' | 'early'>; strays: Map<string, SipMessage> },
  message: SipMessage,
  nowMs: number,
): void {
  const { leg, strays } = of;
  const tag = message.to.tag ?? '';
  const { transactions } = context.options;
  const { flow } = leg.dialog;
  const known = strays.get(tag);
  if (known) {
    transactions.send(known.clone(), flow);
    return;
  }
  if (strays.size >= MAX_STRAYS) return;
  const dialog = earlyDialog(leg, message)?.dialog ?? leg.dialog.fork(message);
  const ack = dialog.request('ACK', { cseq: message.cseq.number });
  strays.set(tag, ack.clone());
  transactions.send(ack, flow);
  const bye = dialog.request('BYE', { headers: [['Reason', reasonHeader(200, 'Call completed elsewhere')]] });
  transactions.request(bye, flow, nowMs);
}

/**
 * Who goes on listening to the INVITE of a branch whose call has ended, for 32 s more (timer M): its 2xx may come again, and
 * others from behind the contact. The call itself need not be kept for that.
 */
export function afterTheCall(context: CallContext, { leg, strays }: Branch): ClientHandler | undefined {
  const { dialog, ack, early } = leg;
  if (!ack || (early && early.size > 0)) return undefined;
  const left = { leg: { dialog }, strays };
  return {
    response: (message, _flow, nowMs) => {
      if (message.status < 200 || message.status >= 300) return;
      if (message.to.tag !== dialog.remoteTag) hangUpStray(context, left, message, nowMs);
      // Its newest ACK may be that of a later INVITE.
      else if (message.cseq.number === ack.cseq) context.options.transactions.send(ack.message.clone(), dialog.flow);
    },
    failed: () => {},
  };
}
