import { type Crypto, createResponse, Deadlines, hex, type SipMessage, type SipUri } from '@offhook/core';
import { refusal } from '../call/index.ts';
import type { Gruu } from '../registrar/index.ts';
import { eventOf } from './event-package.ts';
import { PIDF, type Published, readPidf } from './pidf.ts';

export interface PublicationsOptions {
  readonly crypto: Crypto;
  readonly resolveGruu: (uri: SipUri) => Gruu | undefined;
  /** Event packages that are published to others than this. */
  readonly otherEvents: readonly string[];
}

interface Publication {
  readonly user: string;
  readonly tag: string;
  readonly published: Published;
}

const MIN_S = 60;
const MAX_S = 3600;
/** Of one user; the oldest gives way, for a phone that lost its memory publishes anew. */
const PER_USER = 10;

/** The event state compositor's soft state (RFC 3903): what the phones of users say of their owners' presence. */
export class Publications {
  readonly counters = { published: 0, refreshed: 0, removed: 0, refused: 0 };
  readonly #options: PublicationsOptions;
  readonly #byTag = new Map<string, Publication>();
  readonly #byUser = new Map<string, Set<Publication>>();
  readonly #expiries = new Deadlines<Publication>();

  constructor(options: PublicationsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byTag.size;
  }

  /** What the phones of a user say, the newest last. */
  of(user: string): Published[] {
    return [...(this.#byUser.get(user) ?? [])].map(({ published }) => published);
  }

  nextTimeout(): number | undefined {
    return this.#expiries.next();
  }

  /** The users whose publications have expired. */
  handleTimeout(nowMs: number): string[] {
    const users: string[] = [];
    for (let one = this.#expiries.expire(nowMs); one; one = this.#expiries.expire(nowMs)) {
      this.#remove(one);
      users.push(one.user);
    }
    return users;
  }

  removeUser(user: string): void {
    for (const one of [...(this.#byUser.get(user) ?? [])]) this.#remove(one);
  }

  /** The answer to a PUBLISH of `user`, by the steps of RFC 3903 6. */
  handle(request: SipMessage, user: string, toTag: string, nowMs: number): SipMessage {
    const refuse = (status: number, words: string, headers?: [string, string | number][]) => {
      this.counters.refused++;
      return refusal(request, status, words, toTag, headers);
    };
    // 1 and 2
    const target = request.target;
    const of = (target && this.#options.resolveGruu(target))?.user ?? target?.user;
    if (of !== user) return refuse(403, `${user} can't say how somebody else is`);
    if (eventOf(request)?.name !== 'presence') {
      const events = ['presence', ...this.#options.otherEvents].join(', ');
      return refuse(489, `what can be published here is ${events}`, [['Allow-Events', events]]);
    }
    // 4
    const match = request.header('sip-if-match')?.trim();
    const before = match === undefined ? undefined : this.#byTag.get(match);
    if (match !== undefined && before?.user !== user)
      return refuse(412, 'what was published under that entity tag is not here any more');
    // 5
    const asked = request.expires ?? MAX_S;
    if (asked > 0 && asked < MIN_S)
      return refuse(423, `publications last ${MIN_S} s at least`, [['Min-Expires', MIN_S]]);
    const seconds = Math.min(asked, MAX_S);
    // 6
    const published = this.#read(request, before);
    if ('status' in published) return refuse(published.status, published.words, published.headers);
    if (before) this.#remove(before);
    const tag = hex(this.#options.crypto.randomBytes(8));
    if (seconds > 0) this.#add({ user, tag, published }, nowMs + seconds * 1000);
    this.counters[seconds === 0 ? 'removed' : before ? 'refreshed' : 'published']++;
    return createResponse(request, 200, undefined, {
      toTag,
      headers: [
        ['SIP-ETag', tag],
        ['Expires', seconds],
      ],
    });
  }

  #read(
    request: SipMessage,
    before: Publication | undefined,
  ): Published | { status: number; words: string; headers?: [string, string][] } {
    if (request.body.length === 0) {
      if (before) return before.published;
      return { status: 400, words: 'a first PUBLISH needs a body' };
    }
    if (request.contentType !== PIDF)
      return { status: 415, words: `presence is published as ${PIDF}`, headers: [['Accept', PIDF]] };
    return readPidf(request.bodyText) ?? { status: 400, words: 'the body is no PIDF document' };
  }

  #add(publication: Publication, expiresAtMs: number): void {
    const { user, tag } = publication;
    const mine = this.#byUser.get(user) ?? new Set();
    this.#byUser.set(user, mine);
    if (mine.size >= PER_USER) this.#remove(mine.values().next().value!);
    this.#byUser.set(user, mine.add(publication));
    this.#byTag.set(tag, publication);
    this.#expiries.set(publication, expiresAtMs);
  }

  #remove(publication: Publication): void {
    const { user, tag } = publication;
    this.#byTag.delete(tag);
    this.#expiries.delete(publication);
    const mine = this.#byUser.get(user);
    mine?.delete(publication);
    if (mine?.size === 0) this.#byUser.delete(user);
  }
}
