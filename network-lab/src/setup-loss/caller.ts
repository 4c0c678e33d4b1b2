import {
  answerChallenge,
  type Crypto,
  createRequest,
  createResponse,
  type DigestChallenge,
  type Driver,
  drive,
  hex,
  parseChallenge,
  parseNameAddr,
  parseSip,
  type SipMessage,
  type SocketAddress,
  socketKey,
  type VirtualNetwork,
} from '@offhook/core';
import { type Flow, type TransactionCommand, TransactionLayer } from '@offhook/signaling';

/** How one call attempt went, in virtual milliseconds from its first INVITE. */
export interface SetupOutcome {
  readonly result: 'answered' | 'refused' | 'timeout';
  /** Final status; 408 when nobody answered. */
  readonly status: number;
  readonly setupMs: number;
  /** How often credentials had to be given anew. */
  readonly challenges: number;
  /** 2xx that came again because our ACK was lost. */
  readonly repeatedOk: number;
}

export interface CallerOptions {
  readonly network: VirtualNetwork;
  readonly crypto: Crypto;
  readonly address: SocketAddress;
  readonly server: SocketAddress;
  readonly domain: string;
  readonly user: string;
  readonly password: string;
}

interface Attempt {
  readonly callId: string;
  readonly target: string;
  readonly fromTag: string;
  readonly startedAtMs: number;
  cseq: number;
  transaction?: string;
  challenges: number;
  repeatedOk: number;
  ack?: { cseq: number; message: SipMessage };
  setupMs: number;
  done(outcome: SetupOutcome): void;
}

/**
 * A SIP phone of the virtual network, with our transaction layer as client: registers once, then places calls with the
 * credentials it kept from the last challenge.
 */
export class Caller {
  readonly transactions: TransactionLayer;
  readonly #options: CallerOptions;
  readonly #flow: Flow;
  readonly #driver: Driver;
  readonly #handlers = new Map<string, (command: TransactionCommand, nowMs: number) => void>();
  readonly #attempts = new Map<string, Attempt>();
  #challenge: DigestChallenge | undefined;
  #nonceCount = 0;

  constructor(options: CallerOptions) {
    this.#options = options;
    const { network, address, server } = options;
    this.#flow = { id: 1, transport: 'udp', local: address, remote: server };
    this.transactions = new TransactionLayer({
      crypto: options.crypto,
      sentBy: () => socketKey(address),
      admit: () => ({ accept: {} }),
    });
    this.#driver = drive(this.transactions, network.clock, (command, nowMs) => this.#execute(command, nowMs));
    network.addNode(address, (bytes, _from, nowMs) => {
      const message = parseSip(bytes);
      if (message.kind === 'error') throw new Error(`the server sent what is no SIP: ${message.reason}`);
      this.transactions.handleMessage(message, this.#flow, nowMs);
      this.#driver.settle();
    });
  }

  /** Registers and keeps the challenge; `done` gets the final status. */
  register(done: (status: number) => void): void {
    const callId = this.#id();
    const fromTag = this.#id();
    let cseq = 0;
    const send = () => {
      const uri = `sip:${this.#options.domain}`;
      const request = this.#request({ method: 'REGISTER', uri, callId, fromTag, cseq: ++cseq });
      request.set('contact', `<sip:${this.#options.user}@${socketKey(this.#options.address)}>`).set('expires', 3600);
      this.#start(request, (response) => {
        if (response === undefined) done(408);
        else if (response.status === 401 && cseq < 5) {
          this.#learn(response);
          send();
        } else if (response.status >= 200) done(response.status);
      });
    };
    send();
  }

  /** Calls a number with an offer in the INVITE, acknowledges the answer and hangs up after `holdMs`. */
  call(number: string, sdp: string, holdMs: number): Promise<SetupOutcome> {
    return new Promise((resolve) => {
      const { network, domain } = this.#options;
      const attempt: Attempt = {
        callId: this.#id(),
        target: `sip:${number}@${domain}`,
        fromTag: this.#id(),
        startedAtMs: network.clock.nowMs,
        cseq: 0,
        challenges: 0,
        repeatedOk: 0,
        setupMs: 0,
        done: resolve,
      };
      this.#attempts.set(attempt.callId, attempt);
      network.at(attempt.startedAtMs + 2 * TIMER_B_MS, () => {
        if (!attempt.ack) this.#giveUp(attempt);
      });
      this.#invite(attempt, sdp, holdMs);
    });
  }

  /** Calls that are neither refused nor hung up. */
  get size(): number {
    return this.#attempts.size;
  }

  #invite(attempt: Attempt, sdp: string, holdMs: number): void {
    const { network } = this.#options;
    const cseq = ++attempt.cseq;
    const { callId, fromTag, target: uri } = attempt;
    const request = this.#request({ method: 'INVITE', uri, callId, fromTag, cseq });
    request.set('contact', `<sip:${this.#options.user}@${socketKey(this.#options.address)}>`);
    request.setBody('application/sdp', sdp);
    attempt.transaction = this.#start(request, (response) => {
      const setupMs = network.clock.nowMs - attempt.startedAtMs;
      if (response === undefined) this.#ended(attempt, { result: 'timeout', status: 408, setupMs });
      else if (response.status === 401 && attempt.challenges < 3) {
        attempt.challenges++;
        this.#learn(response);
        this.#invite(attempt, sdp, holdMs);
      } else if (response.status >= 300) this.#ended(attempt, { result: 'refused', status: response.status, setupMs });
      else if (response.status >= 200) this.#answered(attempt, { response, cseq, setupMs, holdMs });
    });
  }

  /** The ACK is repeated for every 2xx that comes again (RFC 3261 13.2.2.4). */
  #answered(attempt: Attempt, got: { response: SipMessage; cseq: number; setupMs: number; holdMs: number }): void {
    const { response, cseq } = got;
    if (attempt.ack) {
      attempt.repeatedOk++;
      this.transactions.send(attempt.ack.message.clone().remove('via'), this.#flow);
      return;
    }
    const contact = parseNameAddr(response.header('contact') ?? '');
    if (!contact) throw new Error('a 200 without Contact');
    const inDialog = { callId: attempt.callId, fromTag: attempt.fromTag, uri: contact.uri.toString() };
    const to = response.header('to')!;
    const message = this.#request({ ...inDialog, method: 'ACK', cseq, to });
    attempt.ack = { cseq, message };
    attempt.setupMs = got.setupMs;
    this.transactions.send(message.clone(), this.#flow);
    const { clock } = this.#options.network;
    clock.at(clock.nowMs + got.holdMs, () => {
      const bye = this.#request({ ...inDialog, method: 'BYE', cseq: cseq + 1, to });
      this.#start(bye, (final) => {
        if (final && final.status < 200) return;
        this.#ended(attempt, { result: 'answered', status: 200, setupMs: attempt.setupMs });
      });
      this.#driver.settle();
    });
  }

  #ended(attempt: Attempt, how: Pick<SetupOutcome, 'result' | 'status' | 'setupMs'>): void {
    if (!this.#attempts.delete(attempt.callId)) return;
    attempt.done({ ...how, challenges: attempt.challenges, repeatedOk: attempt.repeatedOk });
  }

  #request(o: { method: string; uri: string; callId: string; fromTag: string; cseq: number; to?: string }): SipMessage {
    const { user, password, domain, crypto } = this.#options;
    const me = `<sip:${user}@${domain}>`;
    const request = createRequest({
      method: o.method,
      uri: o.uri,
      from: `${me};tag=${o.fromTag}`,
      to: o.to ?? (o.method === 'REGISTER' ? me : `<${o.uri}>`),
      callId: o.callId,
      cseq: o.cseq,
    });
    if (!this.#challenge || o.method === 'ACK') return request;
    const { method, uri } = o;
    const credentials = answerChallenge(
      { challenge: this.#challenge, username: user, password, method, uri, nc: ++this.#nonceCount },
      crypto,
    );
    return credentials === undefined ? request : request.set('authorization', credentials);
  }

  #learn(response: SipMessage): void {
    const challenge = parseChallenge(response.header('www-authenticate') ?? '');
    if (!challenge) return;
    this.#challenge = challenge;
    this.#nonceCount = 0;
  }

  #start(request: SipMessage, handle: (response: SipMessage | undefined, nowMs: number) => void): string {
    const id = this.transactions.request(request, this.#flow, this.#options.network.clock.nowMs);
    this.#handlers.set(id, (command, nowMs) => {
      if (command.kind === 'response') handle(command.message, nowMs);
      else handle(undefined, nowMs);
    });
    this.#driver.settle();
    return id;
  }

  #execute(command: TransactionCommand, nowMs: number): void {
    const { network, address, server } = this.#options;
    switch (command.kind) {
      case 'send':
        network.send(address, server, command.bytes);
        return;
      case 'response':
      case 'timeout':
      case 'transport-error':
        this.#handlers.get(command.id)?.(command, nowMs);
        return;
      case 'terminated':
        this.#handlers.delete(command.id);
        return;
      case 'request':
        this.#hungUp(command.id, command.message, nowMs);
        return;
      case 'ack':
      case 'cancel':
        return;
      default:
        command satisfies never;
    }
  }

  /** The server ends a call whose 2xx or ACKs were all lost; that is a BYE to be answered like any other. */
  #hungUp(id: string, request: SipMessage, nowMs: number): void {
    this.transactions.respond(id, createResponse(request, 200), nowMs);
    const attempt = this.#attempts.get(request.callId);
    if (attempt && !attempt.ack) this.#giveUp(attempt);
  }

  /** Somebody there knew of the call, but no answer ever came: after a provisional response timer B rules no more. */
  #giveUp(attempt: Attempt): void {
    const { nowMs } = this.#options.network.clock;
    const setupMs = nowMs - attempt.startedAtMs;
    if (attempt.transaction) this.transactions.cancel(attempt.transaction, nowMs);
    this.#driver.settle();
    this.#ended(attempt, { result: 'timeout', status: 408, setupMs });
  }

  #id(): string {
    return hex(this.#options.crypto.randomBytes(8));
  }
}

/** The longest a call may take to be set up: timer B (RFC 3261 17.1.1.2). */
export const TIMER_B_MS = 64 * 500;
