import { readS32, readU32, rtpHeaderLength, rtpSequence, writeU32 } from '@offhook/core';
import { CmCipher, E_BIT, GcmCipher, INDEX_BYTES, type PacketCipher } from './cipher.ts';
import { deriveKey, LABEL } from './derive.ts';
import { SRTP_PROFILES, type SrtpKeys, type SrtpTransform } from './profile.ts';
import { estimateIndex, type ReplayStream, ReplayTable } from './replay.ts';

/**
 * Rollovers that a stream may have behind it when its first packet comes here: eleven hours of sound. A prime, so that each of
 * several streams that send by turns is tried with every value.
 */
const MAX_ROLLOVERS = 31;
/** The first packets of a stream as they came. */
const COPY = new Uint8Array(2048);

/** Packets by outcome, since the context was made. */
export interface SrtpStats {
  protected: number;
  unprotected: number;
  /** Too short, not version 2, header longer than the packet; SRTCP without the E bit. */
  malformed: number;
  /** The tag was wrong: other keys, or changed on the way. */
  badTag: number;
  /** Seen before, or older than the window. */
  replayed: number;
  /** A new SSRC when MAX_KNOWN_SSRCS were used under this key. */
  ssrcLimit: number;
}

/**
 * SRTP and SRTCP of one direction of one leg (RFC 3711, RFC 7714), in place and without allocation per packet. Cipher
 * contexts are kept per key; only the IV changes. State moves only after the tag was found good.
 *
 *     SRTP            │ RTP header │ encrypted payload │ tag │
 *     SRTCP, AES-CM   │ 8 bytes    │ encrypted         │E|index│ tag │
 *     SRTCP, AES-GCM  │ 8 bytes    │ encrypted         │ tag │E|index│
 *
 * A stream that began elsewhere (at a relay that is gone) has a rollover counter that nothing tells (RFC 3711 3.3.1): while none
 * of its packets is good each is tried with one more value.
 *
 * Also on the sending side an index is used once: a packet whose sequence number was sent before, or lies further back
 * than the window, is refused (`replayed`), since a second packet under one IV would give both away.
 */
export class SrtpContext implements SrtpTransform {
  // In this order: what each RTP packet touches, then the rest.
  /** The RTP stream of the last packet, which is that of the next one mostly; its SSRC signed. */
  #latest: ReplayStream | undefined;
  #latestSsrc = 0;
  readonly #rtp: PacketCipher;
  readonly #rtpTag: number;
  #protected = 0;
  #unprotected = 0;
  readonly #rtcp: PacketCipher;
  readonly #rtcpTag: number;
  readonly #refused = { malformed: 0, badTag: 0, replayed: 0, ssrcLimit: 0 };
  readonly #aead: boolean;
  readonly #rtpStreams = new ReplayTable();
  readonly #rtcpStreams = new ReplayTable();
  #rtcpIndex = 0;
  /** The counter that a new stream's packet is tried with when it is not zero, as that of streams that begin is. */
  #rollover = 1;
  #protects: boolean;
  #unprotects: boolean;

  /** @param direction `protect` for what we send, `unprotect` for what we receive; the other calls answer -1. */
  constructor(keys: SrtpKeys, direction: 'protect' | 'unprotect') {
    const { profile, key, salt } = keys;
    const { keyLength, saltLength, rtpTagLength, rtcpTagLength, aead } = SRTP_PROFILES[profile];
    if (key.length !== keyLength || salt.length !== saltLength)
      throw new RangeError(`${profile} takes a key of ${keyLength} and a salt of ${saltLength} bytes`);
    this.#protects = direction === 'protect';
    this.#unprotects = !this.#protects;
    this.#rtpTag = rtpTagLength;
    this.#rtcpTag = rtcpTagLength;
    this.#aead = aead;
    const make = (tagLength: number, keyLabel: number, authLabel: number, saltLabel: number): PacketCipher => {
      const sessionKey = deriveKey(key, salt, keyLabel, keyLength);
      const sessionSalt = deriveKey(key, salt, saltLabel, saltLength);
      return aead
        ? new GcmCipher(sessionKey, sessionSalt, direction)
        : new CmCipher(sessionKey, sessionSalt, deriveKey(key, salt, authLabel, 20), tagLength);
    };
    this.#rtp = make(rtpTagLength, LABEL.rtpKey, LABEL.rtpAuth, LABEL.rtpSalt);
    this.#rtcp = make(rtcpTagLength, LABEL.rtcpKey, LABEL.rtcpAuth, LABEL.rtcpSalt);
  }

  /** SSRCs seen, RTP. */
  get streams(): number {
    return this.#rtpStreams.count;
  }

  get stats(): SrtpStats {
    return { protected: this.#protected, unprotected: this.#unprotected, ...this.#refused };
  }

  protect(bytes: Uint8Array, offset: number, length: number): number {
    const header = rtpHeaderLength(bytes, offset, length);
    if (header < 0 || !this.#protects) return this.#refuse('malformed');
    const ssrc = readS32(bytes, offset + 8);
    const stream = this.#find(ssrc);
    const index = estimateIndex(stream, rtpSequence(bytes, offset));
    if (index < 0 || stream?.isFresh(index) === false) return this.#refuse('replayed');
    if (!this.#accept(stream, ssrc, index)) return this.#refuse('ssrcLimit');
    this.#rtp.aim(ssrc, index);
    if (!this.#rtp.sealRtp(bytes, offset, header, length)) return this.#refuse('malformed');
    this.#protected++;
    return length + this.#rtpTag;
  }

  unprotect(bytes: Uint8Array, offset: number, length: number): number {
    const plain = length - this.#rtpTag;
    const header = rtpHeaderLength(bytes, offset, plain);
    if (header < 0 || !this.#unprotects) return this.#refuse('malformed');
    const ssrc = readS32(bytes, offset + 8);
    const stream = this.#find(ssrc);
    let index = estimateIndex(stream, rtpSequence(bytes, offset));
    if (index < 0 || stream?.isFresh(index) === false) return this.#refuse('replayed');
    const isNew = stream === undefined && length <= COPY.length;
    if (isNew) for (let i = 0; i < length; i++) COPY[i] = bytes[offset + i]!; // a wrong try spoils it
    this.#rtp.aim(ssrc, index);
    if (!this.#rtp.openRtp(bytes, offset, header, plain)) {
      if (!isNew) return this.#refuse('badTag');
      for (let i = 0; i < length; i++) bytes[offset + i] = COPY[i]!;
      index += this.#rollover * 0x10000;
      this.#rtp.aim(ssrc, index);
      if (!this.#rtp.openRtp(bytes, offset, header, plain)) {
        this.#rollover = (this.#rollover % MAX_ROLLOVERS) + 1;
        return this.#refuse('badTag');
      }
    }
    if (!this.#accept(stream, ssrc, index)) return this.#refuse('ssrcLimit');
    this.#unprotected++;
    return plain;
  }

  #find(ssrc: number): ReplayStream | undefined {
    return ssrc === this.#latestSsrc && this.#latest !== undefined ? this.#latest : this.#rtpStreams.find(ssrc);
  }

  /** Marks a fresh index of a stream, undefined for a new one, as seen; false when there is room for no more streams. */
  #accept(stream: ReplayStream | undefined, ssrc: number, index: number): boolean {
    // the table's latest too, so it has a window
    if (stream !== undefined && stream === this.#latest) {
      stream.accept(index);
      return true;
    }
    const known = stream ?? this.#rtpStreams.add(ssrc);
    if (known === undefined) return false;
    this.#rtpStreams.accept(known, index);
    this.#latest = known;
    this.#latestSsrc = ssrc;
    return true;
  }

  protectRtcp(bytes: Uint8Array, offset: number, length: number): number {
    if (length < 8 || bytes[offset]! >> 6 !== 2 || !this.#protects) return this.#refuse('malformed');
    // RFC 3711 9.2: no more than 2^31 SRTCP packets under one key.
    if (this.#rtcpIndex > 0x7fffffff) return this.#refuse('replayed');
    // RFC 3711 3.4: the index starts at zero and counts every packet; one count for all SSRCs keeps every IV unique.
    const index = this.#rtcpIndex++;
    const tagAt = offset + length + (this.#aead ? 0 : INDEX_BYTES);
    writeU32(bytes, this.#aead ? tagAt + this.#rtcpTag : offset + length, (E_BIT | index) >>> 0);
    this.#rtcp.aim(readU32(bytes, offset + 4), index);
    if (!this.#rtcp.sealRtcp(bytes, offset, length)) return this.#refuse('malformed');
    this.#protected++;
    return length + INDEX_BYTES + this.#rtcpTag;
  }

  unprotectRtcp(bytes: Uint8Array, offset: number, length: number): number {
    const plain = length - INDEX_BYTES - this.#rtcpTag;
    if (plain < 8 || bytes[offset]! >> 6 !== 2 || !this.#unprotects) return this.#refuse('malformed');
    const word = readU32(bytes, offset + plain + (this.#aead ? this.#rtcpTag : 0));
    // These profiles encrypt; an unencrypted packet is not what was agreed on.
    if (word < E_BIT) return this.#refuse('malformed');
    const index = word - E_BIT;
    const streams = this.#rtcpStreams;
    const ssrc = readU32(bytes, offset + 4);
    let stream = streams.find(ssrc);
    if (stream?.isFresh(index) === false) return this.#refuse('replayed');
    this.#rtcp.aim(ssrc, index);
    if (!this.#rtcp.openRtcp(bytes, offset, plain)) return this.#refuse('badTag');
    stream ??= streams.add(ssrc);
    if (stream === undefined) return this.#refuse('ssrcLimit');
    streams.accept(stream, index);
    this.#unprotected++;
    return plain;
  }

  close(): void {
    this.#protects = false;
    this.#unprotects = false;
    this.#rtp.close();
    this.#rtcp.close();
  }

  #refuse(reason: 'malformed' | 'badTag' | 'replayed' | 'ssrcLimit'): -1 {
    this.#refused[reason]++;
    return -1;
  }
}
