import { answerChallenge, type Crypto, type DigestChallenge, parseChallenge, type SipMessage } from '@offhook/core';

/** Nonces whose count is kept. */
const MAX_NONCES = 16;
/** A server that calls each nonce stale at once would be answered without end. */
const MAX_STALE = 2;
const MAX_CHALLENGES = 8;

export interface CredentialOptions {
  readonly crypto: Crypto;
  readonly user: string;
  readonly password: string;
  /** The only realm that gets an answer; undefined: the one that the first challenge to a REGISTER names. */
  readonly realm?: string;
  /** What the other side is called in words. */
  readonly asker: 'the provider' | 'the server';
}

/** What became of a challenge. */
export type Answer =
  | { readonly header: readonly [string, string] }
  /** `refused`: an answer was given already, and the password in it was wrong. */
  | { readonly refused: boolean; readonly words: string };

/**
 * A password of ours at another server (RFC 7616, RFC 8760 as a client). It answers challenges of one realm alone, so nobody
 * else who asks for a password gets anything made from it; the realm is configured, or learned from the registrar, never from
 * a call.
 */
export class Credentials {
  readonly #options: CredentialOptions;
  /** Nonce counts, by nonce. */
  readonly #counts = new Map<string, number>();
  #realm: string | undefined;
  /** The challenge that each method was met with last, answered ahead of the next one. */
  readonly #last = new Map<string, { readonly challenge: DigestChallenge; readonly header: string }>();

  constructor(options: CredentialOptions) {
    this.#options = options;
    this.#realm = options.realm;
  }

  get realm(): string | undefined {
    return this.#realm;
  }

  /** The challenges to one request and its repetitions, each answered once. */
  exchange(): Exchange {
    let answers = 0;
    let stale = 0;
    return {
      answer: (request, response) => {
        const [header, challenges] = challengesOf(response);
        if (request.method === 'REGISTER') this.#realm ??= challenges[0]?.realm;
        const challenge = this.#choose(challenges);
        if (!challenge) return { refused: false, words: this.#whyNone(challenges) };
        if (challenge.stale && stale < MAX_STALE) stale++;
        else if (answers++ > 0) return { refused: true, words: `${this.#options.asker} refuses the password` };
        this.#last.set(request.method, { challenge, header });
        return this.#answer(header, challenge, request);
      },
    };
  }

  /** Credentials by the challenge to the last request of that method: they save a round trip as long as the nonce is good. */
  ahead(request: SipMessage): readonly [string, string] | undefined {
    const last = this.#last.get(request.method);
    if (!last) return undefined;
    const answer = this.#answer(last.header, last.challenge, request);
    return 'header' in answer ? answer.header : undefined;
  }

  #choose(challenges: readonly DigestChallenge[]): DigestChallenge | undefined {
    const usable = challenges.filter(
      (c) => c.realm === this.#realm && algorithmOf(c) !== undefined && (c.qop.length === 0 || c.qop.includes('auth')),
    );
    // RFC 8760 2.4: the server names what it likes best first; of ours the stronger one is better.
    return usable.find((c) => algorithmOf(c) === 'SHA-256') ?? usable[0];
  }

  #whyNone(challenges: readonly DigestChallenge[]): string {
    const [first] = challenges;
    const { asker } = this.#options;
    if (!first) return `${asker} asks for credentials of a kind that is not known here`;
    if (this.#realm === undefined) return 'the realm of the password is not known: set register.realm';
    if (first.realm !== this.#realm)
      return `the password is for the realm '${this.#realm}', and was asked for by '${first.realm.slice(0, 64)}': not given`;
    return `${asker} asks for the digest ${first.algorithm ?? 'MD5'} with qop ${first.qop.join(',') || 'none'}, which is not known here`.slice(
      0,
      200,
    );
  }

  #answer(header: string, challenge: DigestChallenge, request: SipMessage): Answer {
    const { crypto, user, password } = this.#options;
    const nc = (this.#counts.get(challenge.nonce) ?? 0) + 1;
    this.#counts.delete(challenge.nonce);
    if (this.#counts.size >= MAX_NONCES) this.#counts.delete(this.#counts.keys().next().value!);
    this.#counts.set(challenge.nonce, nc);
    const { method, uri } = request;
    const value = answerChallenge({ challenge, username: user, password, method, uri, nc }, crypto);
    return value === undefined
      ? { refused: false, words: `${this.#options.asker}’s challenge can’t be answered` }
      : { header: [header, value] };
  }
}

/** One request and its repetitions with credentials. */
export interface Exchange {
  answer(request: SipMessage, response: SipMessage): Answer;
}

function algorithmOf({ algorithm = 'MD5' }: DigestChallenge): 'MD5' | 'SHA-256' | undefined {
  const name = algorithm.toUpperCase();
  return name === 'MD5' || name === 'SHA-256' ? name : undefined;
}

/** The header that answers, and the challenges (RFC 3261 22.2, 22.3). */
function challengesOf(response: SipMessage): readonly [string, readonly DigestChallenge[]] {
  const isProxy = response.status === 407;
  const values = response.headers(isProxy ? 'proxy-authenticate' : 'www-authenticate').slice(0, MAX_CHALLENGES);
  return [isProxy ? 'Proxy-Authorization' : 'Authorization', values.flatMap((value) => parseChallenge(value) ?? [])];
}
