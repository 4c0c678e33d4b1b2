import { answerChallenge, type Crypto, type DigestChallenge, parseChallenge, type SipMessage } from '@offhook/core';

/** A server that called each nonce stale would be answered without end. */
const MAX_STALE = 2;
const MAX_CHALLENGES = 8;
/** Nonces whose count is kept. */
const MAX_NONCES = 16;

type Header = readonly [name: string, value: string];

/** What becomes of a challenge: the header that answers it, or words. `refused`: the password in the answer was wrong. */
export type Answered = { readonly header: Header } | { readonly refused: boolean; readonly words: string };

/** One request and its repetitions with credentials. */
export interface Exchange {
  answer(request: SipMessage, response: SipMessage): Answered;
}

/**
 * The account's password as a client of digest (RFC 7616, RFC 8760). It is used for the realm alone that the registrar has
 * named first, and only for who asked over the server's own flow (the agent sees to that).
 */
export class Credentials {
  readonly #crypto: Crypto;
  readonly #user: string;
  readonly #password: string;
  #realm: string | undefined;
  /** The challenge that each method was met with last: the next request answers it ahead. */
  readonly #last = new Map<string, { readonly name: string; readonly challenge: DigestChallenge }>();
  readonly #counts = new Map<string, number>();

  constructor(options: { readonly crypto: Crypto; readonly user: string; readonly password: string }) {
    this.#crypto = options.crypto;
    this.#user = options.user;
    this.#password = options.password;
  }

  exchange(): Exchange {
    let answers = 0;
    let stale = 0;
    return {
      answer: (request, response) => {
        const isProxy = response.status === 407;
        const values = response.headers(isProxy ? 'proxy-authenticate' : 'www-authenticate').slice(0, MAX_CHALLENGES);
        const challenges = values.flatMap((value) => parseChallenge(value) ?? []);
        if (request.method === 'REGISTER') this.#realm ??= challenges[0]?.realm;
        const challenge = this.#choose(challenges);
        if (!challenge) return { refused: false, words: whyNone(challenges, this.#realm) };
        if (challenge.stale && stale < MAX_STALE) stale++;
        else if (answers++ > 0) return { refused: true, words: 'the server does not take the password' };
        const name = isProxy ? 'Proxy-Authorization' : 'Authorization';
        this.#last.set(request.method, { name, challenge });
        const header = this.#header(name, challenge, request);
        return header ? { header } : { refused: false, words: 'the server’s challenge can’t be answered' };
      },
    };
  }

  /** Credentials by the last challenge to that method: they save a round trip as long as its nonce is good. */
  ahead(request: SipMessage): Header | undefined {
    const last = this.#last.get(request.method);
    return last && this.#header(last.name, last.challenge, request);
  }

  /** RFC 8760 2.4: the server names first what it likes best; of ours the stronger one is better. */
  #choose(challenges: readonly DigestChallenge[]): DigestChallenge | undefined {
    const usable = challenges.filter(
      (c) => c.realm === this.#realm && isKnown(c) && (c.qop.length === 0 || c.qop.includes('auth')),
    );
    return usable.find((c) => c.algorithm?.toUpperCase() === 'SHA-256') ?? usable[0];
  }

  #header(name: string, challenge: DigestChallenge, { method, uri }: SipMessage): Header | undefined {
    const nc = (this.#counts.get(challenge.nonce) ?? 0) + 1;
    this.#counts.delete(challenge.nonce);
    if (this.#counts.size >= MAX_NONCES) this.#counts.delete(this.#counts.keys().next().value!);
    this.#counts.set(challenge.nonce, nc);
    const by = { challenge, username: this.#user, password: this.#password, method, uri, nc };
    const value = answerChallenge(by, this.#crypto);
    return value === undefined ? undefined : [name, value];
  }
}

function isKnown({ algorithm = 'MD5' }: DigestChallenge): boolean {
  return ['MD5', 'SHA-256'].includes(algorithm.toUpperCase());
}

function whyNone(challenges: readonly DigestChallenge[], realm: string | undefined): string {
  const [first] = challenges;
  if (!first) return 'the server asks for credentials of a kind that is not known here';
  if (first.realm !== realm) return 'somebody else than the registrar asks for the password: not given';
  return 'the server asks for a digest that is not known here (MD5 and SHA-256 are)';
}
