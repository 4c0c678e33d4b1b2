import { createRequest, parseNameAddr, type SipMessage } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

/** RFC 3261 table 2, RFC 3262 7. */
const WITHOUT_CONTACT: ReadonlySet<string> = new Set(['BYE', 'CANCEL', 'PRACK']);

/**
 * One side of a call as a SIP dialog (RFC 3261 12): everything that a request within it needs. We are the local side.
 */
export class Dialog {
  readonly callId: string;
  localTag: string;
  remoteTag: string;
  /** From and To of our requests, without tags. */
  readonly localParty: string;
  remoteParty: string;
  /** The other side's Contact: the Request-URI of in-dialog requests. */
  remoteTarget: string;
  routeSet: readonly string[] = [];
  localCSeq = 0;
  /** Highest CSeq seen from the other side; lower ones are refused (12.2.2). */
  remoteCSeq = -1;
  flow: Flow;
  readonly contact: (flow: Flow) => string;

  constructor(parts: {
    callId: string;
    localTag: string;
    remoteTag: string;
    localParty: string;
    remoteParty: string;
    remoteTarget: string;
    flow: Flow;
    contact: (flow: Flow) => string;
  }) {
    this.callId = parts.callId;
    this.localTag = parts.localTag;
    this.remoteTag = parts.remoteTag;
    this.localParty = parts.localParty;
    this.remoteParty = parts.remoteParty;
    this.remoteTarget = parts.remoteTarget;
    this.flow = parts.flow;
    this.contact = parts.contact;
  }

  /** The server side of a dialog, from the INVITE that begins it (12.1.1). */
  static ofInvite(invite: SipMessage, how: { localTag: string; flow: Flow; contact: (flow: Flow) => string }): Dialog {
    const contacts = invite.contacts;
    const dialog = new Dialog({
      callId: invite.callId,
      localTag: how.localTag,
      remoteTag: invite.from.tag ?? '',
      localParty: withoutTag(invite.header('to')!),
      remoteParty: withoutTag(invite.header('from')!),
      remoteTarget:
        contacts && contacts !== '*' && contacts[0] ? contacts[0].uri.toString() : invite.from.uri.toString(),
      flow: how.flow,
      contact: how.contact,
    });
    dialog.routeSet = invite.values('record-route');
    dialog.remoteCSeq = invite.cseq.number;
    return dialog;
  }

  /** Takes tag, target and route set from a response to our INVITE (12.1.2); a target refresh afterwards (12.2.1.2). */
  learn(response: SipMessage): void {
    if (response.to.tag !== undefined) this.remoteTag = response.to.tag;
    this.retarget(response);
    this.routeSet = response.values('record-route').reverse();
  }

  /** The dialog of another answer to the same INVITE (12.1.2): all but the remote side is the same. */
  fork(response: SipMessage): Dialog {
    const dialog = new Dialog(this);
    dialog.localCSeq = this.localCSeq;
    dialog.learn(response);
    return dialog;
  }

  /** The remote target follows the Contact of re-INVITEs and their answers. */
  retarget(message: SipMessage): void {
    const contacts = message.contacts;
    if (contacts && contacts !== '*' && contacts[0]?.uri.isSip) this.remoteTarget = contacts[0].uri.toString();
  }

  /** A request within the dialog (12.2.1.1). ACK takes the CSeq of its INVITE. */
  request(
    method: string,
    options: {
      cseq?: number;
      headers?: readonly (readonly [string, string | number])[];
      body?: { type: string; bytes: Uint8Array | string };
    } = {},
  ): SipMessage {
    const cseq = options.cseq ?? ++this.localCSeq;
    return createRequest({
      method,
      uri: this.remoteTarget,
      from: `${this.localParty};tag=${this.localTag}`,
      to: this.remoteTag === '' ? this.remoteParty : `${this.remoteParty};tag=${this.remoteTag}`,
      callId: this.callId,
      cseq,
      headers: [
        ...this.routeSet.map((route) => ['Route', route] as const),
        ...(WITHOUT_CONTACT.has(method) ? [] : [['Contact', `<${this.contact(this.flow)}>`] as const]),
        ...(options.headers ?? []),
      ],
      body: options.body,
    });
  }

  /** Whether a request from the other side is in order; remembers its CSeq. */
  accepts(request: SipMessage): boolean {
    if (request.cseq.number <= this.remoteCSeq) return false;
    this.remoteCSeq = request.cseq.number;
    return true;
  }

  /** Whether a message of the other side belongs to this dialog (12.2.2). */
  owns(request: SipMessage): boolean {
    return (
      request.callId === this.callId && request.to.tag === this.localTag && (request.from.tag ?? '') === this.remoteTag
    );
  }
}

function withoutTag(value: string): string {
  const parsed = parseNameAddr(value);
  if (!parsed) return value;
  parsed.params.delete('tag');
  return parsed.toString();
}
