import { readFileSync } from 'node:fs';
import {
  answerChallenge,
  createRequest,
  createResponse,
  hex,
  parseChallenge,
  parseSip,
  SipMessage,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import WebSocket from 'ws';

const WAIT_MS = 5000;
type Headers = readonly (readonly [string, string])[];

/** What a browser would describe, without a browser: nobody listens there. */
const DESCRIPTION = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 8',
  'c=IN IP4 0.0.0.0',
  'a=mid:0',
  'a=ice-ufrag:fake',
  'a=ice-pwd:a-password-that-nobody-uses',
  `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
  'a=setup:actpass',
  'a=rtcp-mux',
  'a=rtpmap:8 PCMA/8000',
  'a=sendrecv',
  '',
].join('\r\n');

export interface PhoneDialog {
  readonly callId: string;
  readonly from: string;
  readonly to: string;
  readonly target: string;
  readonly routes: readonly string[];
}

export interface WebSocketPhoneOptions {
  readonly url: string;
  readonly caPath: string;
  readonly user: string;
  readonly password: string;
  readonly domain: string;
  /** Its +sip.instance without brackets. */
  readonly instance: string;
}

/** A phone over WebSocket as RFC 7118 and 5626 have it, as small as a test needs it: signalling only. */
export class WebSocketPhone {
  readonly #options: WebSocketPhoneOptions;
  readonly #socket: WebSocket;
  readonly #contact: string;
  readonly #registrationId = hex(nodeCrypto.randomBytes(8));
  /** What has come in and nobody has asked for yet. */
  readonly #inbox: SipMessage[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #tag = hex(nodeCrypto.randomBytes(5));
  #cseq = 0;

  private constructor(options: WebSocketPhoneOptions, socket: WebSocket) {
    this.#options = options;
    this.#socket = socket;
    this.#contact = `sip:${options.user}@${hex(nodeCrypto.randomBytes(6))}.invalid;transport=ws`;
    socket.on('message', (data: Buffer) => {
      const message = parseSip(data);
      if (!(message instanceof SipMessage)) return;
      this.#inbox.push(message);
      for (const look of [...this.#waiting]) look();
    });
  }

  static async open(options: WebSocketPhoneOptions): Promise<WebSocketPhone> {
    const socket = new WebSocket(options.url, ['sip'], { ca: readFileSync(options.caPath) });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return new WebSocketPhone(options, socket);
  }

  /** Registers with all that this server can do for it; the 200. */
  async register(): Promise<SipMessage> {
    const { user, domain, instance } = this.#options;
    const answer = await this.#authenticated('REGISTER', `sip:${domain}`, {
      to: `<sip:${user}@${domain}>`,
      callId: this.#registrationId,
      headers: [
        ['Contact', `<${this.#contact};ob>;+sip.instance="<${instance}>";reg-id=1;expires=600`],
        ['Supported', 'path, outbound, gruu'],
      ],
    });
    if (answer.status !== 200) throw new Error(`REGISTER was answered by ${answer.status} ${answer.reason}`);
    return answer;
  }

  /** Calls and waits for the answer, which it acknowledges. */
  async call(uri: string): Promise<PhoneDialog> {
    const callId = hex(nodeCrypto.randomBytes(8));
    const answer = await this.#authenticated('INVITE', uri, {
      to: `<${uri}>`,
      callId,
      headers: [['Contact', `<${this.#contact};ob>`]],
      sdp: DESCRIPTION,
    });
    if (answer.status !== 200) throw new Error(`INVITE was answered by ${answer.status} ${answer.reason}`);
    const dialog: PhoneDialog = {
      callId,
      from: answer.header('from')!,
      to: answer.header('to')!,
      target: targetOf(answer),
      routes: answer.values('record-route').reverse(),
    };
    this.#send(this.#within(dialog, 'ACK', answer.cseq.number));
    return dialog;
  }

  /** The next request of that method that comes in. */
  incoming(method: string): Promise<SipMessage> {
    return this.#next(`${method} to ${this.#options.user}`, (m) => m.kind === 'request' && m.method === method);
  }

  /** Takes a call, and waits for the ACK. */
  async accept(invite: SipMessage): Promise<PhoneDialog> {
    const answer = createResponse(invite, 200, undefined, {
      toTag: this.#tag,
      headers: [['Contact', `<${this.#contact};ob>`]],
      body: { type: 'application/sdp', bytes: DESCRIPTION.replace('actpass', 'active') },
    });
    this.#send(answer);
    await this.incoming('ACK');
    return {
      callId: invite.callId,
      from: answer.header('to')!,
      to: invite.header('from')!,
      target: targetOf(invite),
      routes: invite.values('record-route'),
    };
  }

  answer(request: SipMessage, status: number): void {
    this.#send(createResponse(request, status, undefined, { toTag: this.#tag }));
  }

  /** Hangs up; the status of the answer. */
  async hangUp(dialog: PhoneDialog): Promise<number> {
    const bye = this.#within(dialog, 'BYE', ++this.#cseq);
    this.#send(bye);
    return (await this.#answerTo(bye)).status;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    this.#socket.terminate();
    await closed;
  }

  async #authenticated(
    method: string,
    uri: string,
    what: { to: string; callId: string; headers: Headers; sdp?: string },
  ): Promise<SipMessage> {
    const { user, password, domain } = this.#options;
    const make = (more: Headers) =>
      createRequest({
        method,
        uri,
        from: `<sip:${user}@${domain}>;tag=${this.#tag}`,
        to: what.to,
        callId: what.callId,
        cseq: ++this.#cseq,
        headers: [this.#via(), ...what.headers, ...more],
        body: what.sdp === undefined ? undefined : { type: 'application/sdp', bytes: what.sdp },
      });
    const first = make([]);
    this.#send(first);
    const challenged = await this.#answerTo(first);
    const challenge = parseChallenge(challenged.header('www-authenticate') ?? '');
    if (challenged.status !== 401 || !challenge) return challenged;
    if (method === 'INVITE') {
      const ack = createRequest({
        ...{ method: 'ACK', uri, from: first.header('from')!, to: challenged.header('to')!, callId: what.callId },
        ...{ cseq: first.cseq.number, headers: [['Via', first.header('via')!]] },
      });
      this.#send(ack);
    }
    const authorization = answerChallenge({ challenge, username: user, password, method, uri }, nodeCrypto)!;
    const second = make([['Authorization', authorization]]);
    this.#send(second);
    return this.#answerTo(second);
  }

  #within(dialog: PhoneDialog, method: string, cseq: number): SipMessage {
    return createRequest({
      method,
      uri: dialog.target,
      from: dialog.from,
      to: dialog.to,
      callId: dialog.callId,
      cseq,
      headers: [this.#via(), ...dialog.routes.map((route) => ['Route', route] as const)],
    });
  }

  #via(): readonly [string, string] {
    return ['Via', `SIP/2.0/WSS phone.invalid;branch=z9hG4bK${hex(nodeCrypto.randomBytes(8))}`];
  }

  #answerTo(request: SipMessage): Promise<SipMessage> {
    const { number, method } = request.cseq;
    return this.#next(
      `the answer to ${method}`,
      (m) =>
        m.kind === 'response' &&
        m.status >= 200 &&
        m.callId === request.callId &&
        m.cseq.number === number &&
        m.cseq.method === method,
    );
  }

  #next(what: string, matches: (message: SipMessage) => boolean): Promise<SipMessage> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const at = this.#inbox.findIndex(matches);
        if (at < 0) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(this.#inbox.splice(at, 1)[0]!);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`${what} did not come within ${WAIT_MS} ms; there were: ${this.#inbox.join('\n')}`));
      }, WAIT_MS);
      this.#waiting.add(look);
      look();
    });
  }

  #send(message: SipMessage): void {
    this.#socket.send(message.serialize());
  }
}

function targetOf(message: SipMessage): string {
  const { contacts } = message;
  if (contacts === undefined || contacts === '*' || !contacts[0]) throw new Error('there is no Contact');
  return contacts[0].uri.toString();
}
