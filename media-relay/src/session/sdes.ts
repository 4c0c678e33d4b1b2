import { base64, type Crypto, fromBase64, type SdpCrypto } from '@offhook/core';
import type { Transport } from '../forward/index.ts';
import { SRTP_PROFILES, type SrtpKeys, type SrtpProfile, type SrtpTransform } from '../srtp/index.ts';

/** By preference: the cheapest suite first. */
export const SDES_SUITES: readonly SrtpProfile[] = [
  'AEAD_AES_128_GCM',
  'AES_CM_128_HMAC_SHA1_80',
  'AES_CM_128_HMAC_SHA1_32',
];

/** Which suites are offered, and which is liked best in an offer that is taken. */
export interface SdesPolicy {
  /** Only these; empty: all. */
  readonly only: readonly string[];
  readonly not: readonly string[];
  /** These first. */
  readonly order: readonly string[];
  /** None that the other peer did not offer, if it offered any. */
  readonly addsNone: boolean;
  /** Taken before others when the sender of the SDP offered it. */
  readonly preferred: readonly string[];
}

/** The suites of an offer under that policy; when nothing would be left, all. */
export function allowedSuites(policy: SdesPolicy | undefined, offered: readonly string[]): readonly SrtpProfile[] {
  if (!policy) return SDES_SUITES;
  const { only, not, order, addsNone } = policy;
  const isAllowed = (suite: string) =>
    (only.length > 0 ? only.includes(suite) : !not.includes(suite)) &&
    (!addsNone || offered.length === 0 || offered.includes(suite));
  const place = (suite: string) => {
    const at = order.indexOf(suite);
    return at < 0 ? order.length : at;
  };
  const left = SDES_SUITES.filter(isAllowed).sort((a, b) => place(a) - place(b));
  return left.length > 0 ? left : SDES_SUITES;
}

/** Makes the packet handling of one direction. */
export type OpenSrtp = (keys: SrtpKeys, direction: 'protect' | 'unprotect') => SrtpTransform;

/** The keys of one section whose SDP carries them (RFC 4568). Our own key of a suite stays the same for the whole call. */
export class SdesKeys {
  readonly #crypto: Crypto;
  readonly #open: OpenSrtp;
  readonly #own = new Map<SrtpProfile, string>();
  /** Of our own keys, each with its one sending context: a second one would use indices of the first again (RFC 3711 9.1). */
  readonly #senders = new Map<SrtpProfile, SrtpTransform>();
  #rxKey = '';
  /** What was agreed on, for `query`. */
  profile: SrtpProfile | undefined;
  /** The line of our answer. */
  answer: SdpCrypto | undefined;

  constructor(crypto: Crypto, open: OpenSrtp) {
    this.#crypto = crypto;
    this.#open = open;
  }

  /** The lines of our offer; a suite has the same tag always. */
  offer(suites: readonly SrtpProfile[]): SdpCrypto[] {
    return suites.map((suite) => ({ tag: SDES_SUITES.indexOf(suite) + 1, suite, key: this.#key(suite) }));
  }

  /** The peer's offer: takes the suite we like best; false when none can be used. */
  offered(lines: readonly SdpCrypto[], transport: Transport, preferred: readonly string[] = []): boolean {
    const liked = SDES_SUITES.filter((suite) => preferred.includes(suite));
    for (const suite of [...liked, ...SDES_SUITES]) {
      const line = lines.find((l) => l.suite === suite && usable(l));
      if (!line) continue;
      // RFC 4568 5.1.2: the answer repeats the tag and suite with a key of its own.
      this.answer = { tag: line.tag, suite, key: this.#key(suite) };
      this.#apply(suite, line.key, transport);
      return true;
    }
    return false;
  }

  /** The peer's answer to `offer()`: one line, one of our tags with its suite. */
  answered(lines: readonly SdpCrypto[], transport: Transport): boolean {
    const line = lines[0];
    const suite = line && SDES_SUITES[line.tag - 1];
    if (!line || !suite || line.suite !== suite || !usable(line)) return false;
    this.#apply(suite, line.key, transport);
    return true;
  }

  close(): void {
    for (const sender of this.#senders.values()) sender.close();
    this.#senders.clear();
    this.#own.clear();
  }

  #key(suite: SrtpProfile): string {
    let key = this.#own.get(suite);
    if (key === undefined) {
      const { keyLength, saltLength } = SRTP_PROFILES[suite];
      key = base64(this.#crypto.randomBytes(keyLength + saltLength));
      this.#own.set(suite, key);
    }
    return key;
  }

  /**
   * Contexts of unchanged keys go on: a new one would lose the rollover counter and the replay window. That of another suite
   * rests, for it may be chosen again.
   */
  #apply(profile: SrtpProfile, remoteKey: string, transport: Transport): void {
    const changed = this.profile !== profile;
    this.profile = profile;
    if (changed || this.#rxKey !== remoteKey || !transport.rx) {
      transport.rx?.close();
      transport.rx = this.#open(split(profile, remoteKey), 'unprotect');
      this.#rxKey = remoteKey;
    }
    let sender = this.#senders.get(profile);
    if (!sender) {
      sender = this.#open(split(profile, this.#key(profile)), 'protect');
      this.#senders.set(profile, sender);
    }
    transport.tx = sender;
  }
}

function usable({ suite, key }: SdpCrypto): boolean {
  const { keyLength, saltLength } = SRTP_PROFILES[suite as SrtpProfile];
  return fromBase64(key)?.length === keyLength + saltLength;
}

function split(profile: SrtpProfile, key: string): SrtpKeys {
  const bytes = fromBase64(key)!;
  const { keyLength } = SRTP_PROFILES[profile];
  return { profile, key: bytes.slice(0, keyLength), salt: bytes.slice(keyLength) };
}
