import assert from 'node:assert/strict';
import { createRequest, createResponse, type SipMessage } from '@offhook/core';
import { ANSWER, DOMAIN, OFFER, type Phone, type Stage } from './test-kit.ts';

interface Asked {
  readonly uri: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseq: number;
  readonly sdp?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

/** One call as its phone sees it. */
export interface Line {
  readonly handset: Handset;
  readonly callId: string;
  readonly localTag: string;
  /** Values of From and To of this phone's requests; the latter gets the server's tag as soon as it is known. */
  readonly from: string;
  to: string;
  state: 'calling' | 'cancelling' | 'ringing' | 'talking' | 'ended';
  cseq: number;
  /** What began it: sent (calling) or received (ringing). */
  readonly invite: SipMessage;
  /** Its caller sent no description: the answer goes into the ACK. */
  readonly isLate: boolean;
  /** CSeq of its own re-INVITE or UPDATE that is not answered yet. */
  change?: number;
  /** 200s that it has sent and that are not acknowledged. */
  readonly unacknowledged: Set<number>;
  /** Its own requests that are not finally answered: `2 BYE`. */
  readonly open: Set<string>;
  /** What the last probe of the other side said. */
  heard?: string;
}

/**
 * A phone that does as RFC 3261 says: it answers by itself whatever needs no person, acknowledges every final answer, and
 * asks nothing that its state forbids. What its person does are the verbs.
 */
export class Handset {
  readonly user: string;
  readonly name: string;
  readonly contact: string;
  readonly lines: Line[] = [];
  /** Its next answer to a change of a call is 488. */
  refusesChange = false;
  isOnline = false;
  /** Its connection; another one each time it comes back. */
  #phone: Phone | undefined;
  readonly #stage: Stage;
  #serial = 0;

  constructor(stage: Stage, user: string, name: string) {
    this.#stage = stage;
    this.user = user;
    this.name = name;
    this.contact = `<sip:${name}@phone.invalid;transport=ws>`;
  }

  connect(): void {
    this.#phone = this.#stage.phone(this.user);
    this.isOnline = true;
    this.#ask('REGISTER', {
      uri: `sip:${DOMAIN}`,
      from: `<sip:${this.user}@${DOMAIN}>;tag=r`,
      to: `<sip:${this.user}@${DOMAIN}>`,
      callId: `registration-of-${this.name}`,
      cseq: ++this.#serial,
    });
  }

  disconnect(): void {
    this.isOnline = false;
    const { flow } = this.#phone!;
    this.#phone!.take();
    this.#stage.core.handleFlowClosed(flow, this.#stage.clock.now);
    this.#stage.settle();
    for (const line of this.lines) {
      line.change = undefined;
      line.open.clear();
      line.unacknowledged.clear();
      if (line.state !== 'talking') line.state = 'ended';
    }
  }

  call(user: string, how: { sdp: string | undefined; headers: [string, string][] }): Line {
    const n = ++this.#serial;
    const localTag = `t${n}`;
    const parts = {
      uri: `sip:${user}@${DOMAIN}`,
      from: `<sip:${this.user}@${DOMAIN}>;tag=${localTag}`,
      to: `<sip:${user}@${DOMAIN}>`,
      callId: `${n}-of-${this.name}`,
    };
    const line: Line = {
      handset: this,
      ...parts,
      localTag,
      state: 'calling',
      cseq: 1,
      invite: this.#request('INVITE', { ...parts, cseq: 1, sdp: how.sdp, headers: how.headers }),
      isLate: how.sdp === undefined,
      unacknowledged: new Set(),
      open: new Set(['1 INVITE']),
    };
    this.lines.push(line);
    this.#phone!.send(line.invite);
    return line;
  }

  answer(line: Line): void {
    assert.equal(line.state, 'ringing');
    line.state = 'talking';
    this.#ok(line, line.invite);
  }

  decline(line: Line, status: number): void {
    assert.equal(line.state, 'ringing');
    line.state = 'ended';
    this.#respond(line, line.invite, status);
  }

  /** CANCEL before the answer, BYE after it. */
  hangUp(line: Line): void {
    if (line.state === 'calling') {
      line.state = 'cancelling';
      const { invite } = line;
      const cancel = createRequest({
        method: 'CANCEL',
        uri: invite.uri,
        from: line.from,
        to: invite.header('to')!,
        callId: line.callId,
        cseq: 1,
      });
      this.#phone!.send(cancel.prepend('via', invite.header('via')!));
    } else if (line.state === 'talking') {
      line.state = 'ended';
      this.#within(line, 'BYE');
    }
  }

  /** Asks for another description, by re-INVITE or UPDATE. */
  change(line: Line, method: 'INVITE' | 'UPDATE', sdp: string): void {
    line.change = line.cseq + 1;
    this.#within(line, method, { sdp });
  }

  refer(line: Line, to: string): void {
    this.#within(line, 'REFER', { headers: [['Refer-To', `<sip:${to}@${DOMAIN}>`]] });
  }

  /** Joins the far ends of two calls of this phone (RFC 5589 7). */
  join(line: Line, other: Line): void {
    const serverTag = /tag=(.*)$/.exec(other.to)?.[1];
    const replaces = encodeURIComponent(`${other.callId};to-tag=${serverTag};from-tag=${other.localTag}`);
    this.#within(line, 'REFER', { headers: [['Refer-To', `<sip:x@${DOMAIN}?Replaces=${replaces}>`]] });
  }

  probe(line: Line, words: string): void {
    this.#within(line, 'INFO', { headers: [['X-Probe', words]] });
  }

  /** Reads what has come; whether there was anything. */
  read(): boolean {
    if (!this.isOnline) return false;
    const messages = this.#phone!.take();
    for (const [i, m] of messages.entries()) {
      // What comes with the answer was sent before its ACK (RFC 3261 15).
      const withAnswer = messages
        .slice(0, i)
        .some((o) => o.status === 200 && o.cseq.number === 1 && o.callId === m.callId);
      const isBye = m.kind === 'request' && m.method === 'BYE';
      assert.ok(!isBye || !withAnswer, 'a caller is hung up after its ACK only');
      if (m.kind === 'response') this.#heardResponse(m);
      else this.#heardRequest(m);
    }
    return messages.length > 0;
  }

  #heardRequest(m: SipMessage): void {
    const line = this.lines.find((l) => l.callId === m.callId);
    if (m.method === 'INVITE' && m.to.tag === undefined) {
      assert.equal(line, undefined, 'an INVITE comes once');
      const localTag = `u${++this.#serial}`;
      const ringing: Line = {
        handset: this,
        callId: m.callId,
        localTag,
        from: `${m.header('to')};tag=${localTag}`,
        to: m.header('from')!,
        state: 'ringing',
        cseq: 0,
        invite: m,
        isLate: m.body.length === 0,
        unacknowledged: new Set(),
        open: new Set(),
      };
      this.lines.push(ringing);
      this.#respond(ringing, m, 180);
      return;
    }
    assert.ok(line, `${m.method} of a call that this phone never had`);
    if (m.method === 'ACK') {
      line.unacknowledged.delete(m.cseq.number);
      return;
    }
    if (m.method === 'CANCEL') {
      this.#respond(line, m, 200);
      if (line.state === 'ringing') this.decline(line, 487);
      return;
    }
    assert.notEqual(line.state, 'ringing', `${m.method} before the answer`);
    if (m.method === 'BYE') {
      // A BYE may overtake what a re-INVITE is owed (RFC 5407 3.2.3), not what began the call.
      const wasCalled = !line.callId.endsWith(`-of-${this.name}`);
      const isOpen = wasCalled && line.unacknowledged.has(line.invite.cseq.number);
      assert.ok(!isOpen, 'a BYE comes after the ACK of the answer');
      line.state = 'ended';
      this.#respond(line, m, 200);
    } else if (line.state === 'ended') this.#respond(line, m, 481);
    else if (m.method === 'INVITE') this.#changed(line, m);
    else {
      if (m.method === 'INFO') line.heard = m.header('x-probe');
      this.#respond(line, m, 200);
    }
  }

  /** RFC 3261 14.2. */
  #changed(line: Line, m: SipMessage): void {
    if (line.change !== undefined) this.#respond(line, m, 491);
    else if (this.refusesChange) {
      this.refusesChange = false;
      this.#respond(line, m, 488);
    } else this.#ok(line, m);
  }

  #heardResponse(m: SipMessage): void {
    if (m.method === 'REGISTER') {
      assert.equal(m.status, 200);
      return;
    }
    if (m.method === 'CANCEL') {
      assert.equal(m.status, 200);
      return;
    }
    const line = this.lines.find((l) => l.callId === m.callId);
    assert.ok(line, 'an answer to something asked');
    const key = `${m.cseq.number} ${m.method}`;
    if (m.to.tag !== undefined && m.method === 'INVITE') line.to = m.header('to')!;
    if (m.status < 200) return;
    assert.ok(line.open.delete(key), `${m.status} to ${key} was waited for, and comes once`);
    if (line.change === m.cseq.number) line.change = undefined;
    if (m.method !== 'INVITE') return;
    const isFirst = m.cseq.number === 1 && (line.state === 'calling' || line.state === 'cancelling');
    if (m.status >= 300) {
      this.#ack(line, m.cseq.number, { via: m.header('via') });
      if (isFirst) line.state = 'ended';
      return;
    }
    this.#ack(line, m.cseq.number, { sdp: isFirst && line.isLate ? ANSWER : undefined });
    if (!isFirst) return;
    const isWanted = line.state === 'calling';
    line.state = 'talking';
    if (!isWanted) this.hangUp(line);
  }

  #ok(line: Line, request: SipMessage): void {
    line.unacknowledged.add(request.cseq.number);
    this.#respond(line, request, 200, request.body.length === 0 ? OFFER : ANSWER);
  }

  #respond(line: Line, request: SipMessage, status: number, sdp?: string): void {
    const body = sdp === undefined ? undefined : { type: 'application/sdp', bytes: sdp };
    const headers = [['Contact', this.contact] as const];
    this.#phone!.send(createResponse(request, status, undefined, { toTag: line.localTag, headers, body }));
  }

  #ack(line: Line, cseq: number, how: { sdp?: string; via?: string }): void {
    const ack = this.#request('ACK', { uri: 'sip:offhook', ...line, cseq, sdp: how.sdp });
    if (how.via !== undefined) ack.set('via', how.via);
    this.#phone!.send(ack);
  }

  #within(line: Line, method: string, how: { sdp?: string; headers?: [string, string][] } = {}): void {
    const cseq = ++line.cseq;
    line.open.add(`${cseq} ${method}`);
    this.#ask(method, { uri: 'sip:offhook', from: line.from, to: line.to, callId: line.callId, cseq, ...how });
  }

  #ask(method: string, of: Asked): void {
    this.#phone!.send(this.#request(method, of));
  }

  #request(method: string, of: Asked): SipMessage {
    const { sdp, uri, from, to, callId, cseq, headers = [] } = of;
    const body = sdp === undefined ? undefined : { type: 'application/sdp', bytes: sdp };
    const branch = `z9hG4bK${this.name}-${callId}-${cseq}${method}`;
    return createRequest({
      method,
      uri,
      from,
      to,
      callId,
      cseq,
      headers: [['Contact', this.contact], ...headers],
      body,
    }).prepend('via', `SIP/2.0/WS x.invalid;branch=${branch}`);
  }
}
