import { type Crypto, createResponse, hex, isLoopback, networkOf, type SipMessage, utf8 } from '@offhook/core';
import { ALLOW, refusal, unknownNeeds } from '../call/index.ts';
import type { Flow, Admission as Verdict } from '../transaction/index.ts';
import type { TrunkSource } from '../trunk/index.ts';
import type { Authenticator, Challenge } from './authenticator.ts';
import type { Bans } from './bans.ts';
import type { Bearer } from './bearer.ts';
import { type Rate, RateLimit } from './rate-limit.ts';
import { Shedding } from './shedding.ts';

export interface AdmissionLimits {
  /**
   * Strangers of one address (IPv6: /64): requests outside dialogs, and all else that is answered before anything is known
   * of it. UDP, where the source may be forged, and connections have one each.
   */
  readonly address: Rate;
  /** Requests that show a nonce which was given to that address: the passwords that are checked for it. */
  readonly credentials: Rate;
  /** Loopback is slowed down too, but far later: whoever sits at the machine may test it. */
  readonly loopback: Rate;
  /** Requests outside dialogs of one user, for each method. */
  readonly requests: Rate;
  /** New calls of one user. */
  readonly calls: Rate;
  /** New calls and other requests of one user at this machine. */
  readonly userOnLoopback: Rate;
  /** Requests within one dialog, BYE apart: key presses by INFO are the most that a person makes. */
  readonly dialog: Rate;
  /** Requests outside dialogs of one trunk; its calls have the trunk's own rate. */
  readonly trunk: Rate;
}

export const ADMISSION_LIMITS: AdmissionLimits = {
  address: { perSecond: 50, burst: 100 },
  loopback: { perSecond: 5000, burst: 10_000 },
  credentials: { perSecond: 500, burst: 1000 },
  requests: { perSecond: 5, burst: 50 },
  calls: { perSecond: 5, burst: 20 },
  userOnLoopback: { perSecond: 1000, burst: 2000 },
  dialog: { perSecond: 20, burst: 60 },
  trunk: { perSecond: 200, burst: 400 },
};

export interface AdmissionOptions {
  readonly crypto: Crypto;
  readonly authenticator: Authenticator;
  /** Without it tokens are nothing but credentials of another kind. */
  readonly bearer?: Bearer;
  readonly isUser: (user: string) => boolean;
  /** Whether a host name or address means this server. */
  readonly isLocal: (host: string) => boolean;
  /** Whether a request belongs to a dialog of ours; its tags are secrets that only its phone knows. */
  readonly ownsDialog: (request: SipMessage) => boolean;
  /** Whose phone such a request comes from, and where it was reached last; undefined: it may come from anywhere. */
  readonly homeOf?: (request: SipMessage) => { readonly flow: Flow; readonly user: string } | undefined;
  /** Whether that flow reaches a registered contact of a user. */
  readonly isRegistered?: (user: string, flow: Flow, nowMs: number) => boolean;
  /** Which trunk a request comes from, and whether one more call may come from there. */
  readonly trunks?: {
    trunkOf(request: SipMessage, flow: Flow, nowMs: number): TrunkSource | undefined;
    mayCall(trunk: string, nowMs: number): boolean;
  };
  /** Who is not listened to for a while; without it everybody is. */
  readonly bans?: Bans;
  readonly limits?: AdmissionLimits;
  /** What is left out when the server is behind. */
  readonly shedding?: Shedding;
  /** Addresses that have the rates of loopback: this machine itself, and edge proxies, which speak for many. */
  readonly isNear?: (address: string) => boolean;
}

/** Longest body of what carries no session description: it is passed on, and kept until it is answered. */
export const LONGEST_BODY = 16 * 1024;
const MAY_BE_LONG = new Set(['INVITE', 'UPDATE', 'PRACK', 'BYE']);

/** Methods that begin something here; all others are known but not allowed, or not known. */
const OUTSIDE_DIALOGS = new Set(['INVITE', 'OPTIONS', 'REGISTER', 'MESSAGE', 'SUBSCRIBE', 'PUBLISH']);
const KNOWN = new Set(`BYE INFO NOTIFY PRACK REFER UPDATE`.split(' '));
/** What accounts may ask for, within dialogs and outside. */
export const ALLOWED = `${ALLOW}, REGISTER, SUBSCRIBE, PUBLISH`;

/**
 * What RFC 3261 8.2 asks of a server before it acts, in the order it asks it: authentication, method, headers, content.
 * No state is made for what is refused; every refusal says why in its Reason header.
 */
export class Admission {
  /** Refusals by status code, requests dropped without an answer. */
  readonly refused = new Map<number, number>();
  dropped = 0;
  /** New calls are refused from now on. */
  draining = false;
  readonly #options: AdmissionOptions;
  readonly #limits: AdmissionLimits;
  readonly #isNear: (address: string) => boolean;
  readonly #shedding: Shedding;
  readonly #tagKey: Uint8Array;
  readonly #addresses = new RateLimit();
  readonly #checks = new RateLimit();
  readonly #users = new RateLimit();
  readonly #callers = new RateLimit();
  readonly #dialogs = new RateLimit();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#limits = options.limits ?? ADMISSION_LIMITS;
    this.#isNear = options.isNear ?? isLoopback;
    this.#shedding = options.shedding ?? new Shedding();
    this.#tagKey = options.crypto.randomBytes(16);
  }

  admit(request: SipMessage, flow: Flow, nowMs: number): Verdict {
    const { tag } = request.to;
    if (tag !== undefined && this.#options.ownsDialog(request)) return this.#admitInDialog(request, tag, flow, nowMs);
    const source = this.#options.trunks?.trunkOf(request, flow, nowMs);
    if (source) return this.#admitFromTrunk(request, source, flow, nowMs);
    if (!this.#mayAsk(request, flow, nowMs)) return 'drop';
    if (tag !== undefined) return this.#refuse(request, 481, 'this call does not exist (any more)');
    // Before it has cost anything; who answers a challenge was let in when it was given.
    if (
      request.method === 'INVITE' &&
      request.header('authorization') === undefined &&
      !this.#shedding.takesCall(nowMs)
    )
      return this.#refuseCall(request);

    // 8.2: "starting with authentication, then inspecting the method, the header fields, and so on"
    const who = this.#authenticate(request, flow, nowMs);
    if (typeof who !== 'string') return who;
    flow.isKnown = true;
    this.#options.bans?.handleSignIn(flow.remote, nowMs);
    // An edge has a machine's rate, but each user behind it that of a user.
    const loopback = isLoopback(flow.remote.address);
    const rate = loopback ? this.#limits.userOnLoopback : this.#limits.requests;
    if (!this.#users.take(`${who} ${request.method.slice(0, 32)}`, rate, nowMs))
      return this.#refuse(request, 503, `${who} is asking too fast`, [['Retry-After', 2]]);

    // 8.2.1
    const { method } = request;
    if (!OUTSIDE_DIALOGS.has(method)) {
      if (method === 'BYE') return this.#refuse(request, 481, 'BYE without a call');
      if (!KNOWN.has(method)) return this.#refuse(request, 501, `${method.slice(0, 32)} is not known here`);
      return this.#refuse(request, 405, `${method} is not possible here`, [['Allow', ALLOWED]]);
    }
    return (
      this.#inspectTarget(request) ??
      this.#inspectIdentity(request, who) ??
      this.#inspectNeeds(request) ??
      this.#inspectLength(request) ??
      this.#admitCall(request, { who, loopback, nowMs }) ?? {
        accept: { account: who },
      }
    );
  }

  /** A trunk is known by where it is: it may call and ask whether we are there, and shows whatever caller it has. */
  #admitFromTrunk(request: SipMessage, { trunk, isContact }: TrunkSource, flow: Flow, nowMs: number): Verdict {
    if (!this.#users.take(`trunk ${trunk}`, this.#limits.trunk, nowMs)) {
      this.#drop();
      return 'drop';
    }
    flow.isKnown = true;
    const { method } = request;
    if (request.to.tag !== undefined || method === 'BYE')
      return this.#refuse(request, 481, 'this call does not exist (any more)');
    if (method !== 'INVITE' && method !== 'OPTIONS')
      return this.#refuse(request, 405, `${method.slice(0, 32)} is nothing that a trunk may do here`, [
        ['Allow', 'INVITE, ACK, CANCEL, BYE, OPTIONS'],
      ]);
    return (
      this.#inspectTarget(request, isContact ? () => true : undefined) ??
      this.#inspectNeeds(request) ??
      this.#inspectLength(request) ??
      this.#admitTrunkCall(request, trunk, nowMs) ?? { accept: { trunk } }
    );
  }

  #admitTrunkCall(request: SipMessage, trunk: string, nowMs: number): Verdict | undefined {
    if (request.method !== 'INVITE') return undefined;
    if (this.draining) return this.#refuse(request, 503, 'the server is being stopped', [['Retry-After', 10]]);
    if (!this.#shedding.takesCall(nowMs)) return this.#refuseCall(request);
    if (this.#options.trunks?.mayCall(trunk, nowMs)) return undefined;
    return this.#refuse(request, 503, `calls come too fast over trunk '${trunk}'`, [['Retry-After', 2]]);
  }

  /** A phone in a call is known, but not even it may keep the server busy: a BYE is always heard, the rest at a rate. */
  #admitInDialog(request: SipMessage, tag: string, flow: Flow, nowMs: number): Verdict {
    const stranger = this.#meetFromElsewhere(request, flow, nowMs);
    if (stranger !== undefined) return stranger;
    flow.isKnown = true;
    if (request.method !== 'BYE' && !this.#dialogs.take(tag, this.#limits.dialog, nowMs))
      return this.#refuse(request, 503, 'too many requests within this call', [['Retry-After', 1]]);
    return this.#inspectLength(request) ?? { accept: { account: flow.account } };
  }

  /**
   * The tags of a dialog tell whose it is, but not where: with a forged source its own phone could have everything sent to
   * somebody else. Who comes from another address, where it is not registered, has to show its password there. A BYE is only
   * answered, once.
   */
  #meetFromElsewhere(request: SipMessage, flow: Flow, nowMs: number): Verdict | undefined {
    if (flow.account !== undefined || request.method === 'BYE') return undefined;
    const home = this.#options.homeOf?.(request);
    if (!home || flow === home.flow || flow.remote.address === home.flow.remote.address) return undefined;
    if (this.#options.isRegistered?.(home.user, flow, nowMs)) return undefined;
    if (!this.#mayAsk(request, flow, nowMs)) return 'drop';
    const who = this.#authenticate(request, flow, nowMs);
    if (typeof who !== 'string') return who;
    return who === home.user ? undefined : this.#refuse(request, 403, `this call is not one of ${who}`);
  }

  /**
   * Whether a request outside dialogs is looked at. Sessions have a rate of their own, per user; who shows a nonce has not
   * forged its source, so forgers can't use up what it lives on; the rest are strangers.
   */
  #mayAsk(request: SipMessage, flow: Flow, nowMs: number): boolean {
    if (flow.account !== undefined && request.to.tag === undefined) return true;
    if (flow.account !== undefined) return this.mayAnswer(flow, nowMs);
    const { authenticator, bans } = this.#options;
    const showsNonce = authenticator.showsNonce(request, flow.remote.address, nowMs);
    if (bans?.handleRequest(request, flow, showsNonce, nowMs) === false) return false;
    if (!(showsNonce ? this.#mayCheck(flow, nowMs) : this.mayAnswer(flow, nowMs))) return false;
    if (request.to.tag === undefined) bans?.handleQuestion(request, flow, showsNonce, nowMs);
    return true;
  }

  #mayCheck({ remote: { address } }: Flow, nowMs: number): boolean {
    const rate = this.#isNear(address) ? this.#limits.loopback : this.#limits.credentials;
    return this.#checks.take(networkOf(address), rate, nowMs) || this.#drop();
  }

  /**
   * Whether one more answer may go where nobody has proven to be: one budget a source for everything that is answered
   * without a transaction, malformed messages, stray CANCELs and overload included. A session has its own.
   */
  mayAnswer(flow: Flow, nowMs: number): boolean {
    const { address } = flow.remote;
    const shown = () => (flow.isKnown ? 'known' : 'nothing');
    if (this.#options.bans?.refuses(flow.remote, flow.transport, nowMs, shown)) return false;
    const rate = this.#isNear(address) ? this.#limits.loopback : this.#limits.address;
    const { account, transport } = flow;
    const fine =
      account === undefined
        ? this.#addresses.take(`${transport === 'udp' ? 'udp' : 'connection'} ${networkOf(address)}`, rate, nowMs)
        : this.#users.take(account, rate, nowMs);
    return fine || this.#drop();
  }

  #drop(): false {
    this.dropped++;
    return false;
  }

  /** The To tag of an answer that is not remembered: the same for each copy of a request (8.2.7). */
  tag(request: SipMessage): string {
    const what = `${request.callId} ${request.from.tag} ${request.cseq.number} ${request.vias[0]?.branch}`;
    return hex(this.#options.crypto.hmac('sha1', this.#tagKey, utf8(what)).subarray(0, 8));
  }

  /** The user a request comes from, or what to answer. */
  #authenticate(request: SipMessage, flow: Flow, nowMs: number): string | Verdict {
    const { account } = flow;
    if (account !== undefined) {
      if (this.#options.isUser(account)) return account;
      return this.#refuse(request, 403, `the account ${account} was removed`);
    }
    const { authenticator, bearer } = this.#options;
    const source = { address: flow.remote.address, transport: flow.transport };
    const result = bearer?.authenticate(request, flow) ?? authenticator.authenticate(request, source, nowMs);
    switch (result.kind) {
      case 'account':
        return result.user;
      case 'challenge':
        if (result.isGuess) this.#options.bans?.handleWrongPassword(flow, nowMs);
        return this.#challenge(request, flow, result);
      case 'invalid':
        return this.#challenge(request, flow, authenticator.challenge(request, source, nowMs, result.why));
      case 'refused':
        return this.#refuse(request, result.status, result.why);
      case 'locked':
        if (authenticator.showsNonce(request, source.address, nowMs))
          this.#options.bans?.handleWrongPassword(flow, nowMs);
        return this.#refuse(request, 503, `too many wrong passwords: try again in ${result.retryAfterS} s`, [
          ['Retry-After', result.retryAfterS],
        ]);
      default:
        return result satisfies never;
    }
  }

  /** Whoever has given no credentials knows why; over UDP the words would only make more of a forged request. */
  #challenge(request: SipMessage, flow: Flow, by: Challenge): Verdict {
    const headers = [['WWW-Authenticate', by.wwwAuthenticate]] as const;
    if (flow.transport !== 'udp' || request.header('authorization') !== undefined)
      return this.#refuse(request, 401, by.why, headers);
    this.#countRefused(401);
    return { reject: createResponse(request, 401, undefined, { toTag: this.tag(request), headers }) };
  }

  /** 8.2.2.1: is it for us, and can it still travel? A contact that we registered is ours whatever its host. */
  #inspectTarget(request: SipMessage, isOurs = this.#options.isLocal): Verdict | undefined {
    const target = request.target;
    if (!target) return this.#refuse(request, 400, 'the Request-URI is malformed');
    if (!target.isSip) return this.#refuse(request, 416, `${target.scheme}: addresses are not known here, only sip:`);
    if (!isOurs(target.host))
      return this.#refuse(request, 404, `${target.host} is not served here: calls go to users of this server only`);
    // A call travels on from here, everything else ends here (RFC 3261 16.3).
    if (request.method === 'INVITE' && request.maxForwards === 0)
      return this.#refuse(request, 483, 'the call went through too many servers');
    return undefined;
  }

  /** Nobody speaks for somebody else. */
  #inspectIdentity(request: SipMessage, who: string): Verdict | undefined {
    const { from, to } = request;
    if (request.method === 'REGISTER' && !to.uri.isSip)
      return this.#refuse(
        request,
        400,
        `${to.uri.scheme}: addresses can't be registered here, only sip:`.slice(0, 200),
      );
    if (from.uri.user !== who || !this.#options.isLocal(from.uri.host))
      return this.#refuse(request, 403, `signed in as ${who}, but the request is from ${from.uri}`.slice(0, 200));
    if (request.method === 'REGISTER' && (to.uri.user !== who || !this.#options.isLocal(to.uri.host)))
      return this.#refuse(request, 403, `${who} can't register for ${to.uri}`.slice(0, 200));
    return undefined;
  }

  /** 21.4.11. A BYE is heard whatever it carries. */
  #inspectLength(request: SipMessage): Verdict | undefined {
    if (request.body.length <= LONGEST_BODY || MAY_BE_LONG.has(request.method)) return undefined;
    return this.#refuse(request, 413, `the body of ${request.method.slice(0, 32)} may have ${LONGEST_BODY} bytes`);
  }

  /** 8.2.2.3 and 8.2.3: no extension may be required, and a body has to be one that is understood. */
  #inspectNeeds(request: SipMessage): Verdict | undefined {
    const required = unknownNeeds(request);
    if (required.length > 0)
      return this.#refuse(request, 420, `not supported: ${required.join(', ')}`.slice(0, 200), [
        ['Unsupported', required.join(', ')],
      ]);
    const encoding = request.header('content-encoding');
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
      return this.#refuse(request, 415, 'compressed bodies are not understood', [['Accept-Encoding', 'identity']]);
    if (request.method === 'INVITE' && request.body.length > 0 && request.contentType !== 'application/sdp')
      return this.#refuse(request, 415, 'only application/sdp is understood in an INVITE', [
        ['Accept', 'application/sdp'],
      ]);
    // 8.2.3 and 20.1: an answer would have to carry what the caller says it can't take.
    if (request.method === 'INVITE' && !acceptsSdp(request))
      return this.#refuse(request, 406, 'the answer to an INVITE is application/sdp, which Accept leaves out');
    return undefined;
  }

  #admitCall(
    request: SipMessage,
    by: { readonly who: string; readonly loopback: boolean; readonly nowMs: number },
  ): Verdict | undefined {
    if (request.method !== 'INVITE') return undefined;
    if (this.draining) return this.#refuse(request, 503, 'the server is being stopped', [['Retry-After', 10]]);
    if (this.#callers.take(by.who, by.loopback ? this.#limits.userOnLoopback : this.#limits.calls, by.nowMs))
      return undefined;
    return this.#refuse(request, 503, `${by.who} is calling too fast`, [['Retry-After', 2]]);
  }

  /** 21.5.4. Not all who are refused come back at the same time. */
  #refuseCall(request: SipMessage): { readonly reject: SipMessage } {
    const retryAfterS = 3 + (Number.parseInt(this.tag(request).slice(0, 4), 16) % 8);
    return this.#refuse(request, 503, 'the server has more calls to set up than it can', [
      ['Retry-After', retryAfterS],
    ]);
  }

  #countRefused(status: number): void {
    this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
  }

  #refuse(
    request: SipMessage,
    status: number,
    words: string,
    headers: readonly (readonly [string, string | number])[] = [],
  ): { readonly reject: SipMessage } {
    this.#countRefused(status);
    return { reject: refusal(request, status, words, this.tag(request), headers) };
  }
}

function acceptsSdp(request: SipMessage): boolean {
  const accepted = request.values('accept').map((range) => range.split(';', 1)[0]!.trim().toLowerCase());
  return accepted.length === 0 || accepted.some((r) => r === 'application/sdp' || r === 'application/*' || r === '*/*');
}
